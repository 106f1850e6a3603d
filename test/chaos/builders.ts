import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadConfig } from "../../src/config.ts";
import type { JsonObject } from "../../src/core/json.ts";
import type { Run } from "../../src/core/records.ts";
import { openForCommand, openForNode } from "../../src/stores/open.ts";
import type { Held, NodeStore, OperatorStore } from "../../src/stores/store.ts";
import { realClock } from "../../src/worker/clock.ts";
import { listProcesses } from "../../src/worker/processes.ts";
import { startWorker, type Worker, type WorkerEvent } from "../../src/worker/worker.ts";
import { certify } from "../fakes/authority.ts";
import { type MovedClock, movedClock } from "../fakes/moved-clock.ts";
import { startRedis } from "../fakes/redis-server.ts";
import { openRelay, type Relay } from "../fakes/relay.ts";
import { deliver, eventually, Household, jiraBody, type Line, Process } from "../house/household.ts";
import { isLong, type Leased, readLedger, scriptFor, type Unwatched, uptime } from "./ledger.ts";

// A gateway and six workers of the compiled binary, whose supervisor is this process, and a seventh worker in this process
// whose wall clock jumps. Faults come by the dice. Times are those of the default numbers (a lease of 90 s) on a scale of
// 1:45: what lasts 120 s there lasts 2.7 s here. What a process needs to start is not scaled.

export const ways = ["sqlite", "redis", "https"] as const;
export type Way = (typeof ways)[number];

export const ttl_ms = 2000;
const lease = { ttl: "2s", heartbeat: "400ms", fence: "1s" };

const others = ["freeze", "sleep", "hole", "wall"] as const;
type Fault = "kill" | (typeof others)[number];
const hour = 3_600_000;

const queued = 6;
// A worker ends its script when half of what lies between fence and ttl is left. It lists processes, kills and looks again,
// and each of these waits for the machine: a quarter second for the first of them leaves nothing for the rest.
const spare_s = 0.25;
const givingUp = ["attempt lost", "attempt discarded"];

type Lease = typeof lease;
type Closing = () => Promise<unknown> | void;

/** A pool whose nodes reach their work one way: the gateway's socket, Redis, or the gateway over HTTPS. */
export class Builders {
  readonly house: Household;
  readonly ledger: string;
  readonly way: Way;
  readonly dice: () => number;
  // Names that nobody else on this machine has: what runs for them is found by them.
  readonly nodes = [1, 2, 3, 4, 5, 6].map((n) => `mac-${n}-${crypto.randomUUID().slice(0, 8)}`);
  readonly jumper = `mac-7-${crypto.randomUUID().slice(0, 8)}`;
  readonly unwatched: Unwatched[] = [];
  readonly leases = new Map<string, Map<number, Leased>>();
  readonly delivered: string[] = [];
  readonly workers: { node: string; worker: Process }[] = [];
  readonly heard: WorkerEvent[] = [];
  readonly counts: Record<Fault | "jump", number> = { kill: 0, freeze: 0, sleep: 0, hole: 0, wall: 0, jump: 0 };
  /** What outlived its worker's successor's start: there should be none. */
  readonly orphans: string[] = [];
  readonly #closing: Closing[];
  readonly #relays = new Map<string, Relay>();
  #gateway: Awaited<ReturnType<Household["serve"]>> | undefined;
  #ca: string | undefined;
  #store: OperatorStore | undefined;
  #inside: Worker | undefined;
  #running = new Map<string, Pick<Run, "issue_key" | "attempt">>();
  #hole: Promise<void> = Promise.resolve();
  readonly #wall: MovedClock | null;

  private constructor(
    way: Way,
    house: Household,
    { dice, closing, wall }: { dice: () => number; closing: Closing[]; wall: MovedClock | null },
  ) {
    this.way = way;
    this.#wall = wall;
    this.house = house;
    this.dice = dice;
    this.#closing = closing;
    this.ledger = join(house.dir, "ledger");
    house.write("scripts/build-ios.sh", scriptFor(this.ledger), 0o755);
  }

  /** Opens a pool; `numbers` are those of its leases. The clock of the store's host can be moved where a C compiler is. */
  static async open(way: Way, dice: () => number, numbers: Lease = lease): Promise<Builders> {
    const closing: Closing[] = [];
    const wall = movedClock();
    if (wall) closing.push(() => wall.close());
    const redis = way === "redis" ? await startRedis({ ...(wall && { env: wall.env }) }) : null;
    if (redis) closing.push(() => redis.stop());
    const lanes = { ios: { max_lost: 100 } };
    const house = new Household({
      ...(redis && { store: `redis://127.0.0.1:${redis.port}` }),
      config: { lease: numbers, lanes },
    });
    const builders = new Builders(way, house, { dice, closing, wall });
    try {
      await builders.#begin(redis?.port ?? null);
    } catch (cause) {
      await builders.close();
      throw cause;
    }
    return builders;
  }

  async #begin(redis: number | null): Promise<void> {
    const { house } = this;
    for (const node of this.way === "sqlite" ? [] : this.all) {
      const relay = await openRelay();
      this.#relays.set(node, relay);
      this.#closing.push(() => relay.close());
    }
    let ca_file: string | undefined;
    if (this.way === "https") {
      const authority = certify(house.dir);
      ca_file = authority.ca_file;
      this.#ca = readFileSync(ca_file, "utf8");
      const config: JsonObject = JSON.parse(readFileSync(house.config, "utf8"));
      const url = "https://localhost:1"; // every node is told its own
      const gateway = {
        listen: "127.0.0.1:0",
        admin: { listen: "127.0.0.1:0" },
        drain_delay: "0s",
        nodes: { listen: "127.0.0.1:0", url },
        tls: { cert: authority.cert, key: authority.key },
      };
      house.write("meshmac.config.json", JSON.stringify({ ...config, gateway }), 0o600);
    }
    this.#gateway = await house.serve(this.way === "redis" ? {} : this.#wall?.env);
    const { nodes_url } = await this.#gateway.said("gateway listening");
    const target = redis ?? (typeof nodes_url === "string" ? Number(new URL(nodes_url).port) : null);
    for (const [node, relay] of this.#relays) {
      relay.lead(target);
      if (ca_file) expectDone(await house.run("nodes", "add", node));
    }
    for (const node of this.all) house.write(`${node}.json`, JSON.stringify(this.#configOf(node, ca_file)), 0o600);
    const { config } = await loadConfig({ file: house.config });
    const store = await openForCommand(config);
    this.#store = store;
    this.#closing.unshift(() => store.close());
  }

  #configOf(node: string, ca_file: string | undefined): JsonObject {
    const port = this.#relays.get(node)?.port;
    const own = { id: node, work_dir: `./work/${node}` };
    if (ca_file)
      return {
        pool: "acme-ios",
        state_dir: `./state-${node}`,
        node: { ...own, connect: `https://localhost:${port}`, token: `nodes/${node}.token`, ca_file },
      };
    const store = port ? `redis://127.0.0.1:${port}` : "sqlite:./state/meshmac.db";
    return { pool: "acme-ios", store, state_dir: "./state", node: own };
  }

  /** Lets `kills` kills and a share of the other faults happen while runs come and go, then waits until every run is over. */
  async endure(kills: number): Promise<void> {
    const each = Math.max(2, Math.round(kills / 25));
    const faults: Fault[] = Array.from({ length: kills }, () => "kill");
    for (const kind of others) faults.push(...Array.from({ length: each }, () => kind));
    const over = new AbortController();
    const beside = [this.#feed, this.#watch, this.#jump, this.#findStarved].map((act) => act.call(this, over.signal));
    const struck = Promise.all(this.nodes.map((node) => this.#suffer(node, faults)));
    try {
      // Whichever fails first says why.
      await Promise.race([struck, Promise.all(beside).then(() => struck)]);
      over.abort();
      await Promise.all(beside);
      await eventually("every run over", async () => {
        await this.#see();
        const { runs } = await this.store.list({ states: ["queued", "running"], limit: 1 });
        return runs.length === 0;
      });
    } finally {
      over.abort();
      this.#inside?.drain();
      await this.#inside?.done;
    }
  }

  /** Kills a worker in the middle of a script, for good; answers the milliseconds until its run has begun on another node; gives up after `within` of them. */
  async recover(within = 30_000): Promise<number> {
    for (const node of this.nodes.slice(0, 2)) await this.#work(node);
    for (let n = 1; n <= 4; n++) await this.#deliver(); // the fourth is long
    const begun = (attempt: number) =>
      eventually(
        `attempt ${attempt}`,
        () => readLedger(this.ledger).find((said) => said.run_id === this.delivered[3] && said.attempt === attempt),
        within,
      );
    const first = await begun(1);
    await this.workers.find(({ node }) => node === first.node)?.worker.kill9();
    const killed = performance.now();
    const second = await begun(2);
    if (second.node === first.node) throw new Error("a dead node ran it again");
    return performance.now() - killed;
  }

  /** Whether the clock of the store's host can be moved here. */
  get movesWall(): boolean {
    return this.#wall !== null;
  }

  get all(): string[] {
    return [...this.nodes, this.jumper];
  }

  get store(): OperatorStore {
    if (!this.#store) throw new Error("the pool has not begun");
    return this.#store;
  }

  /** Whether the worker itself said that it has this attempt no more, or was dead at some moment between these epoch milliseconds and started anew. */
  gaveUp({ run_id, attempt }: Held, node: string, from: number, to: number): boolean {
    const booted = Date.now() - uptime() * 1000;
    // Also just before: what is leased to a process that has died in the meantime is its successor's to settle.
    const killed = (time: Unwatched) =>
      time.node === node &&
      time.why === "killed" &&
      booted + time.from * 1000 <= to &&
      booted + time.to * 1000 >= from - 20;
    const said = ({ msg, ...line }: Line) =>
      line.run_id === run_id && line.attempt === attempt && givingUp.some((words) => msg.startsWith(words));
    return (
      this.unwatched.some(killed) ||
      this.workers.some(({ worker }) => worker.lines.some(said)) ||
      this.heard.some((event) => event.what === "lost" && event.run_id === run_id && event.attempt === attempt)
    );
  }

  /** How often the workers said this, all together. */
  said(message: string): number {
    return this.workers.flatMap(({ worker }) => worker.lines).filter(({ msg }) => msg === message).length;
  }

  /** Everything that carries the environment of a run of this pool. */
  async left(node: string): Promise<{ pid: number; birth: string }[]> {
    const all = await listProcesses([`MESH_NODE_ID=${node}`]);
    return all.filter(({ told }) => told);
  }

  async leftAnywhere(): Promise<number> {
    return (await Promise.all(this.all.map((node) => this.left(node)))).flat().length;
  }

  async close(): Promise<void> {
    this.#inside?.stop();
    for (const { worker } of this.workers) {
      worker.child.kill("SIGCONT");
      worker.child.kill("SIGKILL");
    }
    await Promise.all(this.workers.map(({ worker }) => worker.child.exited));
    for (const node of this.all) for (const { pid } of await this.left(node)) signal(pid, "SIGKILL");
    for (const close of this.#closing.splice(0)) await close();
    await this.house.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #work(node: string): Promise<Process> {
    const worker = new Process(["work", "--config", join(this.house.dir, `${node}.json`)], this.house.dir);
    this.workers.push({ node, worker });
    await worker.said("worker started");
    return worker;
  }

  /** One node: its supervisor, and what happens to it. */
  async #suffer(node: string, faults: Fault[]): Promise<void> {
    let worker = await this.#work(node);
    for (;;) {
      const [fault] = faults.splice(Math.floor(this.dice() * faults.length), 1);
      if (!fault) return;
      await this.#busy(node, fault === "hole" || fault === "sleep");
      await Bun.sleep(this.dice() * 500);
      this.counts[fault]++;
      if (fault === "kill") worker = await this.#kill(node, worker);
      else if (fault === "hole") await this.#swallow(node);
      else if (fault === "wall") this.#setWall();
      else await this.#freeze(node, worker, fault === "sleep");
    }
  }

  /** Waits until the node runs something, a `long` one where asked: what befalls an idle node proves little. */
  async #busy(node: string, long: boolean): Promise<void> {
    const isBusy = () => {
      const run = this.#running.get(node);
      return run !== undefined && (!long || isLong(run.issue_key, run.attempt));
    };
    while (!isBusy()) await Bun.sleep(20);
  }

  async #kill(node: string, worker: Process): Promise<Process> {
    const from = uptime();
    await worker.kill9();
    // Sometimes the pool is faster than the supervisor.
    if (this.dice() < 0.2) await Bun.sleep(this.dice() * 1.5 * ttl_ms);
    const before = await this.left(node);
    const next = await this.#work(node);
    this.unwatched.push({ node, why: "killed", from, to: uptime() });
    const births = new Map(before.map(({ pid, birth }) => [pid, birth]));
    for (const { pid, birth } of await this.left(node))
      if (births.get(pid) === birth) this.orphans.push(`${pid} on ${node}`);
    return next;
  }

  /** Stops a worker for 120 s of the scale, or for four of its leases; `all` its scripts too, as a machine that sleeps. */
  async #freeze(node: string, worker: Process, all: boolean): Promise<void> {
    const from = uptime();
    worker.child.kill("SIGSTOP");
    const scripts = all ? await this.left(node) : [];
    for (const { pid } of scripts) signal(pid, "SIGSTOP");
    await Bun.sleep(ttl_ms * (this.counts[all ? "sleep" : "freeze"] % 2 === 0 ? 4 : 4 / 3));
    const stale = await this.left(node);
    for (const { pid } of scripts) signal(pid, "SIGCONT");
    worker.child.kill("SIGCONT");
    await eventually(`what ran on ${node} before it stood still is gone`, async () => {
      const now = await this.left(node);
      return !now.some(({ pid, birth }) => stale.some((old) => old.pid === pid && old.birth === birth));
    });
    this.unwatched.push({ node, why: "frozen", from, to: uptime() });
  }

  /** Nothing that the node sends arrives, and nothing that is sent to it, for 10 to 300 s of the scale. */
  async #swallow(node: string): Promise<void> {
    // The second is the longest, and every other one is longer than a lease.
    const n = this.counts.hole;
    const long = ttl_ms * (n === 2 ? 10 / 3 : n % 2 === 0 ? 1.3 + this.dice() * 2 : 1 / 9 + this.dice() * 0.9);
    const relay = this.#relays.get(node);
    if (relay) {
      relay.hush(true);
      await Bun.sleep(long);
      relay.hush(false);
      return;
    }
    // Through a socket of the same machine nothing is swallowed; its other end may stand still, for everybody at once.
    this.#hole = this.#hole.then(async () => {
      await this.#busy(node, true);
      this.#gateway?.child.kill("SIGSTOP");
      await Bun.sleep(long);
      this.#gateway?.child.kill("SIGCONT");
    });
    await this.#hole;
  }

  /** Sets the clock of the store's host an hour off, this way or that, or right again. */
  #setWall(): void {
    if (!this.#wall) return;
    const off = this.#wall.off === 0 ? (this.dice() < 0.5 ? -hour : hour) : 0;
    this.#wall.set(off);
  }

  /** Keeps some runs waiting. */
  async #feed(over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      const { runs } = await this.store
        .list({ states: ["queued"], limit: queued })
        .catch(() => ({ runs: Array.from({ length: queued }) }));
      if (runs.length < queued) await this.#deliver();
      else await Bun.sleep(50);
    }
  }

  async #deliver(): Promise<void> {
    const { body } = await deliver(
      this.#gateway?.url ?? "",
      "jira",
      jiraBody(`MOB-${this.delivered.length + 1}`),
      {},
      this.#ca === undefined ? undefined : { ca: this.#ca },
    );
    if (body.status !== "queued" || !body.run_id) throw new Error(`not queued: ${JSON.stringify(body)}`);
    this.delivered.push(body.run_id);
  }

  /** Looks again and again at what is leased to whom. */
  async #watch(over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      await this.#see();
      await Bun.sleep(50);
    }
  }

  async #see(): Promise<void> {
    const { runs } = await this.store.list({ states: ["running"], limit: 50 }).catch(() => ({ runs: [] }));
    this.#running = new Map(runs.map((run) => [run.node ?? "", run]));
    for (const { run_id, attempt, node, started_at } of runs) {
      if (node === null || started_at === null) continue;
      const attempts = this.leases.get(run_id) ?? new Map<number, Leased>();
      if (attempts.has(attempt)) continue;
      // By the store's clock, which may be an hour off, or was when it said so.
      const off = Math.round((started_at - Date.now()) / hour) * hour;
      this.leases.set(run_id, attempts.set(attempt, { node, started_at: started_at - off }));
    }
  }

  /** Notes when this machine let a timer wait for as long as a worker has left to end its script before its lease ends. */
  async #findStarved(over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      const began = uptime();
      await Bun.sleep(20);
      const late = uptime() - began - 0.02;
      if (late >= spare_s)
        this.unwatched.push({ node: null, why: "starved", from: began, to: uptime() + ttl_ms / 1000 });
    }
  }

  /** A worker in this process, so that its wall clock can be an hour off and back. */
  async #jump(over: AbortSignal): Promise<void> {
    const { config } = await loadConfig({ file: join(this.house.dir, `${this.jumper}.json`) });
    const store: NodeStore = await openForNode(config);
    this.#closing.unshift(() => store.close());
    let off = 0;
    this.#inside = startWorker({
      store,
      node: config.node,
      clock: { ...realClock, now: () => Date.now() + off },
      on: (event) => void this.heard.push(event),
    });
    while (!over.aborted) {
      await Bun.sleep(300 + this.dice() * 1500);
      off = off === 0 ? (this.dice() < 0.5 ? -hour : hour) : 0;
      this.counts.jump++;
    }
  }
}

function expectDone({ code, stderr }: { code: number; stderr: string }): void {
  if (code !== 0) throw new Error(`ended with ${code}: ${stderr}`);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended meanwhile.
  }
}
