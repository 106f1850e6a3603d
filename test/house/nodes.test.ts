import { expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonObject } from "../../src/core/json.ts";
import { certify } from "../fakes/authority.ts";
import { openMattermost } from "../fakes/mattermost.ts";
import { startRedis } from "../fakes/redis-server.ts";
import { openRelay, type Relay } from "../fakes/relay.ts";
import { deliver, eventually, everything, Household, jiraBody, Process, type Wishes } from "./household.ts";

// A pool without Redis: a gateway and Macs that reach it over HTTPS, each with a configuration of five lines.

const brisk = { ttl: "6s", heartbeat: "500ms", fence: "2s" };
const patient = { ttl: "60s", heartbeat: "1s", fence: "40s" };

/** A gateway's house behind an address that outlives it. */
class Pool extends Household {
  readonly relay: Relay;
  readonly ca_file: string;
  readonly #macs: Mac[] = [];
  readonly #others: (() => Promise<unknown>)[] = [];

  constructor(relay: Relay, wishes: Wishes, lease: JsonObject) {
    const tls = mkdtempSync(join(tmpdir(), "meshmac-tls-"));
    const { cert, key, ca_file } = certify(tls);
    const nodes = { listen: "127.0.0.1:0", url: `https://localhost:${relay.port}` };
    const gateway = {
      listen: "127.0.0.1:0",
      admin: { listen: "127.0.0.1:0" },
      drain_delay: "0s",
      nodes,
      tls: { cert, key },
    };
    super({ ...wishes, config: { gateway, lease, ...wishes.config } });
    this.relay = relay;
    this.ca_file = ca_file;
  }

  override async serve() {
    const gateway = await super.serve();
    const { nodes_url } = await gateway.said("gateway listening");
    this.relay.lead(Number(new URL(String(nodes_url)).port));
    return gateway;
  }

  async deliver(gateway: { url: string }, key: string): Promise<string> {
    const { body } = await deliver(gateway.url, "jira", jiraBody(key), {}, { ca: readFileSync(this.ca_file, "utf8") });
    return body.run_id ?? "";
  }

  /** Types what `nodes add` prints into a shell of a new machine. */
  async add(node: string, shell = "sh"): Promise<Mac> {
    const { code, stdout, stderr } = await this.run("nodes", "add", node);
    expect([code, stdout.split("\n").length]).toEqual([0, 2]);
    const mac = new Mac(this.ca_file);
    this.#macs.push(mac);
    expect(mac.types(stdout, shell)).toEqual({ code: 0, said: "" });
    const token = readFileSync(mac.file(`secrets.d/nodes/${node}.token`), "utf8").trim();
    expect(stdout).toContain(token);
    expect(stderr).not.toContain(token);
    mac.trust();
    return mac;
  }

  async state(run_id: string): Promise<{ state: string; attempt: number; lost: number; node: string }> {
    return JSON.parse((await this.run("runs", "show", run_id, "--json")).stdout);
  }

  log(run_id: string, attempt: number): string {
    const file = join(this.dir, "state/logs", run_id, `${attempt}.log`);
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  }

  /** Closes something else after the house. */
  also(close: () => Promise<unknown>): void {
    this.#others.push(close);
  }

  override async close(): Promise<void> {
    await Promise.all(this.#macs.map((mac) => mac.close()));
    await super.close();
    for (const close of this.#others) await close();
    await this.relay.close();
    rmSync(join(this.ca_file, ".."), { recursive: true, force: true });
  }
}

/** Another machine, which is a home folder here. */
class Mac {
  readonly home = mkdtempSync(join(tmpdir(), "meshmac-mac-"));
  readonly #ca_file: string;
  readonly #processes: Process[] = [];

  constructor(ca_file: string) {
    this.#ca_file = ca_file;
  }

  file(name: string): string {
    return join(this.home, ".config/meshmac", name);
  }

  types(line: string, shell: string): { code: number; said: string } {
    const env = { HOME: this.home, PATH: process.env.PATH ?? "" };
    const { exitCode, stdout, stderr } = Bun.spawnSync([shell], { stdin: Buffer.from(line), env });
    return { code: exitCode, said: `${stdout}${stderr}` };
  }

  /** A private authority is the one thing that the line cannot know. */
  trust(): void {
    const config = this.file("meshmac.config.yaml");
    writeFileSync(config, `${readFileSync(config, "utf8")}  ca_file: ${this.#ca_file}\n  pass_env: [GATE]\n`);
  }

  script(name: string, body: string): void {
    writeFileSync(this.file(`scripts/${name}.sh`), body, { mode: 0o755 });
  }

  gate(name: string): string {
    return join(this.home, name);
  }

  open(name: string): void {
    writeFileSync(this.gate(name), "");
  }

  start(...args: string[]): Process {
    const started = new Process(args, this.home, { GATE: this.home });
    this.#processes.push(started);
    return started;
  }

  async work(): Promise<Process> {
    const worker = this.start("work");
    await worker.said("worker started");
    return worker;
  }

  async run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    const command = this.start(...args);
    const code = await command.child.exited;
    await eventually("the end of the output", () => command.stdout !== "" || command.stderr !== "" || code === 0);
    return { code, stdout: command.stdout, stderr: command.stderr };
  }

  async close(): Promise<void> {
    for (const { child } of this.#processes) child.kill("SIGKILL");
    await Promise.all(this.#processes.map(({ child }) => child.exited));
    rmSync(this.home, { recursive: true, force: true });
  }
}

async function pool(wishes: Wishes = {}, lease: JsonObject = patient): Promise<Pool> {
  return new Pool(await openRelay(), wishes, lease);
}

// Speaks until its gate opens, a numbered line at a time.
const talkative =
  '#!/bin/sh\ni=0\nuntil [ -e "$GATE/enough" ]; do i=$((i+1)); echo "line $i"; sleep 0.02; done\necho "end after $i"; : >"$GATE/over"\n';

test("a gateway killed -9 in the middle of a run loses no line and no result", async () => {
  await using house = await pool();
  const gateway = await house.serve();
  const mac = await house.add("mac-07");
  mac.script("build-ios", talkative);
  const worker = await mac.work();
  const run_id = await house.deliver(gateway, "MOB-12");
  await eventually("its log flowing", () => house.log(run_id, 1).includes("line 20\n"));
  await gateway.kill9();
  const before = house.log(run_id, 1).length;
  await eventually("the cut felt", () => worker.lines.some(({ msg }) => msg === "lease not renewed"));
  await house.serve();
  await eventually("its log flowing again", () => house.log(run_id, 1).length > before);
  mac.open("enough");
  await eventually("its end", async () => (await house.state(run_id)).state === "succeeded");
  expect(await house.state(run_id)).toMatchObject({ state: "succeeded", attempt: 1, lost: 0, node: "mac-07" });
  const lines = house.log(run_id, 1).trimEnd().split("\n");
  const last = lines.pop();
  expect(lines).toEqual(lines.map((_, i) => `line ${i + 1}`));
  expect(last).toBe(`end after ${lines.length}`);
}, 60_000);

test.each([
  ["a gateway with SQLite", false],
  ["a gateway with Redis, which another node uses directly meanwhile", true],
])(
  "a result that nobody could take is taken when the gateway is back, however long that took: %s",
  async (_what, mixed) => {
    const redis = mixed ? await startRedis() : null;
    await using house = await pool(redis ? { store: `redis://127.0.0.1:${redis.port}/0` } : {}, brisk);
    if (redis) house.also(() => redis.stop());
    const gateway = await house.serve();
    const mac = await house.add("mac-07");
    mac.script("build-ios", talkative);
    const worker = await mac.work();
    const run_id = await house.deliver(gateway, "MOB-12");
    await eventually("the script's start", () => worker.lines.some(({ msg }) => msg === "script started"));
    const direct = mixed ? await house.work({ MESH_NODE_ID: "mac-08" }) : null;
    await gateway.kill9();
    mac.open("enough");
    await eventually("the script's end", () => existsSync(mac.gate("over")));
    expect(worker.lines.filter(({ msg }) => msg === "script called back")).toEqual([]);
    const began = performance.now();
    await eventually("the lease over", () => performance.now() - began > 6500);
    await house.serve();
    await eventually("its end", async () => (await house.state(run_id)).state === "succeeded");
    expect(await house.state(run_id)).toMatchObject({ attempt: 1, lost: 0 });
    expect((await house.run("runs", "logs", run_id)).stdout).toContain("end after");
    expect(direct?.lines.filter(({ msg }) => msg === "run leased") ?? []).toEqual([]);
  },
  60_000,
);

test("a gateway gone for longer than the fence costs the attempt, and not its log", async () => {
  await using house = await pool({}, brisk);
  const gateway = await house.serve();
  const mac = await house.add("mac-07");
  mac.script(
    "build-ios",
    '#!/bin/sh\n[ "$MESHMAC_ATTEMPT" = 1 ] || exit 0\necho begun\nuntil [ -e "$GATE/cut" ]; do sleep 0.02; done\necho alone\nexec sleep 600\n',
  );
  const worker = await mac.work();
  const run_id = await house.deliver(gateway, "MOB-12");
  await eventually("its log flowing", () => house.log(run_id, 1).includes("begun"));
  await gateway.kill9();
  mac.open("cut");
  await worker.said("attempt lost, its lease could not be renewed");
  await house.serve();
  await eventually("its second end", async () => (await house.state(run_id)).state === "succeeded");
  expect(await house.state(run_id)).toMatchObject({ attempt: 2, lost: 1 });
  expect(house.log(run_id, 1)).toBe("begun\nalone\n");
}, 60_000);

test.each(["sh", "bash", "zsh"].filter((shell) => Bun.which(shell)))(
  "what nodes add prints works in %s, and keeps a configuration that is there",
  async (shell) => {
    await using house = await pool();
    const mac = await house.add("mac-07", shell);
    expect(statSync(mac.file("secrets.d/nodes/mac-07.token")).mode & 0o777).toBe(0o600);
    expect(statSync(mac.file("secrets.d/nodes")).mode & 0o777).toBe(0o700);
    expect((await mac.run("config", "check", "--secrets")).code).toBe(0);
    const kept = readFileSync(mac.file("meshmac.config.yaml"), "utf8");
    await house.run("nodes", "remove", "mac-07");
    const { stdout } = await house.run("nodes", "add", "mac-07");
    const { code, said } = mac.types(stdout, shell);
    expect([code, readFileSync(mac.file("meshmac.config.yaml"), "utf8")]).toEqual([0, kept]);
    expect(said).toContain("is there already");
    expect(stdout).toContain(readFileSync(mac.file("secrets.d/nodes/mac-07.token"), "utf8").trim());
  },
);

test("a node has the store's verbs for itself alone, and no gateway's commands", async () => {
  await using house = await pool();
  await house.serve();
  const mac = await house.add("mac-07");
  for (const args of [["runs", "list"], ["serve"], ["nodes", "list"]]) {
    const { code, stderr } = await mac.run(...args);
    expect([args.join(" "), code]).toEqual([args.join(" "), 78]);
    expect(stderr).toContain("node.connect");
  }
  expect((await mac.run("work", "--once")).code).toBe(75);
  expect((await mac.run("nodes", "add", "mac-08")).code).toBe(78);
});

test("doctor on a node asks for its gateway, and says what keeps it from it", async () => {
  await using house = await pool();
  const gateway = await house.serve();
  const mac = await house.add("mac-07");
  const found = async () => (await mac.run("doctor")).stdout;
  const well = await found();
  expect(well).not.toContain("store-unreachable");
  // What only the gateway can know is left to the doctor there.
  expect(well).not.toContain("not checked");
  await house.run("nodes", "remove", "mac-07");
  await eventually("the token refused", async () => (await found()).includes("meshmac nodes add"));
  await gateway.kill9();
  expect(await found()).toContain("check node.connect");
}, 60_000);

test("a report of a node goes inward, under the node's name", async () => {
  using mattermost = openMattermost();
  await using house = await pool({ mattermost: mattermost.url });
  await house.serve();
  const mac = await house.add("mac-07");
  const build = ["--workflow", "nightly", "--state", "failed", "--branch", "main", "--provider-run-id", "4711"];
  const { code, stdout } = await mac.run("notify", ...build, "--json");
  expect([code, JSON.parse(stdout)]).toMatchObject([0, { outcome: "handed_in", sender: "gateway" }]);
  await eventually("the chat told", () => mattermost.posts.some((post) => JSON.stringify(post).includes("nightly")));
  expect(JSON.stringify(mattermost.posts)).toContain("mac-07");
  expect(JSON.parse((await mac.run("notify", ...build, "--json")).stdout)).toMatchObject({ outcome: "seen" });
  const other = await mac.run("notify", ...build, "--node", "mac-08");
  expect([other.code, other.stderr]).toEqual([77, expect.stringContaining('of the node "mac-07" and of no other')]);
});

test("nodes are listed, drained with a reason, resumed and removed", async () => {
  await using house = await pool();
  const gateway = await house.serve();
  const mac = await house.add("mac-07");
  mac.script("build-ios", talkative);
  const listed = async () => JSON.parse((await house.run("nodes", "list", "--json")).stdout);
  expect(await listed()).toEqual({ nodes: [], unseen: ["mac-07"] });
  const unknown = await house.run("nodes", "drain", "mac-07");
  expect([unknown.code, unknown.stderr]).toEqual([65, expect.stringContaining("has asked for work")]);

  const worker = await mac.work();
  await eventually("it asks for work", async () => (await listed()).nodes.length === 1);
  const typo = await house.run("nodes", "drain", "mac-70");
  expect(typo.stderr).toContain("mac-07");
  const first = await house.deliver(gateway, "MOB-12");
  await eventually("it runs", async () => (await house.state(first)).state === "running");
  expect((await house.run("nodes", "drain", "mac-07", "--why", "new Xcode")).stdout).toBe("drained mac-07\n");
  expect((await house.run("nodes", "list")).stdout).toContain("new Xcode");
  const busy = await house.run("nodes", "remove", "mac-07");
  expect([busy.code, busy.stderr]).toEqual([75, expect.stringContaining("nodes drain mac-07")]);
  mac.open("enough");
  await eventually("its end", async () => (await house.state(first)).state === "succeeded");
  const second = await house.deliver(gateway, "MOB-13");
  expect((await house.state(second)).state).toBe("queued");
  await house.run("nodes", "resume", "mac-07");
  await eventually("its end", async () => (await house.state(second)).state === "succeeded");

  expect((await house.run("nodes", "remove", "mac-07")).code).toBe(0);
  await worker.said("store refused this node");
  expect(existsSync(join(house.dir, "secrets.d/nodes/mac-07.token"))).toBe(false);
  expect((await house.run("nodes", "remove", "mac-07")).code).toBe(65);
  expect((await listed()).unseen).toEqual([]);
}, 60_000);

test("nodes add makes one token for a node, and shows it nowhere else", async () => {
  await using house = await pool();
  const gateway = await house.serve();
  const mac = await house.add("mac-07");
  mac.script("build-ios", "#!/bin/sh\ncat ~/.config/meshmac/secrets.d/nodes/*.token\nenv\n");
  const worker = await mac.work();
  const run_id = await house.deliver(gateway, "MOB-12");
  await eventually("its end", async () => (await house.state(run_id)).state === "succeeded");
  const token = readFileSync(mac.file("secrets.d/nodes/mac-07.token"), "utf8").trim();
  const kept = (await everything(house.dir)) + gateway.stderr + gateway.stdout + worker.stderr + worker.stdout;
  expect(house.log(run_id, 1)).toContain("***");
  expect(kept).not.toContain(token);
  // A bare 007 would be a number.
  const agent = await house.add("007");
  expect((await agent.run("config", "check")).code).toBe(0);
  const again = await house.run("nodes", "add", "mac-07");
  expect([again.code, again.stdout]).toEqual([75, ""]);
  expect(again.stderr).toContain("meshmac rotate start nodes/mac-07.token");
  for (const id of ["../admin/api", "a b", "a..b", "-x", ""])
    expect((await house.run("nodes", "add", "--", id)).code).toBe(64);
  mkdirSync(join(house.dir, "bare"));
  writeFileSync(join(house.dir, "bare/meshmac.config.yaml"), "pool: acme-ios\n", { mode: 0o600 });
  const bare = new Process(["nodes", "add", "mac-09"], join(house.dir, "bare"));
  expect(await bare.child.exited).toBe(78);
}, 60_000);
