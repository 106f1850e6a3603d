import { platform, release } from "node:os";
import { MeshError } from "../core/error.ts";
import { log } from "../log.ts";
import type { Held, Lease } from "../stores/store.ts";
import { type Asks, runAttempt } from "./attempt.ts";
import { Backoff } from "./clock.ts";
import type { House } from "./house.ts";
import { ScriptHashes } from "./script-hashes.ts";
import { scriptsIn } from "./scripts.ts";

const longestWait = 30_000;

/**
 * Leases runs one after another and runs up to `concurrency` of them at once. A token is fresh per lease wanted and
 * stays the same until the store has answered, so a lost answer loses no run.
 */
export class Loop {
  readonly #house: House;
  readonly #asks: Asks;
  readonly #place: string;
  readonly #hashes = new ScriptHashes();
  readonly #running = new Map<string, { held: Held; done: Promise<void> }>();
  #outage = false;
  #everReached = false;
  #token: string | undefined;

  /** `place` names the work folder: what another worker of the same name leased is none of this one's. */
  constructor(house: House, asks: Asks, place: string) {
    this.#house = house;
    this.#asks = asks;
    this.#place = place;
  }

  /** Works until it is asked to drain; resolves when the last script is over. Throws `config` where the first answer of the store is that it is none for us: a Redis that keeps nothing. */
  async work(): Promise<void> {
    const { node } = this.#house;
    while (!this.#asks.drain.aborted) {
      if (this.#running.size >= node.concurrency) {
        await Promise.race([...this.#running.values()].map(({ done }) => done));
        continue;
      }
      const asked = await this.#leaseUntilAnswered();
      if (asked) this.#start(asked.lease, asked.sent);
    }
    await this.#settleToken();
    await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  /** Runs one task, or finds none. Throws what the store threw. */
  async once(): Promise<"ran" | "nothing"> {
    const sent = this.#house.clock.monotonic();
    const lease = await this.#lease(0);
    if (!lease) return "nothing";
    this.#start(lease, sent);
    await Promise.all([...this.#running.values()].map(({ done }) => done));
    return "ran";
  }

  async #leaseUntilAnswered(): Promise<{ lease: Lease; sent: number } | null> {
    const { clock, chance } = this.#house;
    const backoff = new Backoff();
    while (!this.#asks.drain.aborted) {
      const sent = clock.monotonic();
      try {
        const lease = await this.#lease(longestWait);
        this.#reached();
        if (lease) return { lease, sent };
        this.#house.on({ what: "idle" });
        // A store that has nothing and does not wait is not asked in a circle.
        if (clock.monotonic() - sent < 50) await clock.sleep(backoff.next(chance()), this.#asks.drain);
        else backoff.reset();
      } catch (cause) {
        // What was wrong from the beginning nobody mends by waiting; what has worked before may come back.
        if (!this.#everReached && cause instanceof MeshError && cause.kind === "config") throw cause;
        this.#unreached(cause);
        await clock.sleep(backoff.next(chance()), this.#asks.drain);
      }
    }
    return null;
  }

  async #lease(ms: number): Promise<Lease | null> {
    const { store, node, version } = this.#house;
    const scripts = await scriptsIn(node.scripts_dir);
    const facts = {
      version,
      os: `${platform()} ${release()}`,
      labels: node.labels,
      scripts,
      script_hashes: await this.#hashes.of(node.scripts_dir, scripts),
      concurrency: node.concurrency,
    };
    this.#house.pipes.stock();
    const holding = [...this.#running.values()].map(({ held }) => held);
    const token = (this.#token ??= `${this.#place}.${crypto.randomUUID()}`);
    const ask = { node: node.id, facts, token, holding };
    const lease = await (ms > 0 ? store.lease(ask, { ms, signal: this.#asks.drain }) : store.lease(ask));
    this.#token = undefined;
    return lease;
  }

  /** A lease call whose answer was lost may have leased a run: a worker that goes asks once more and hands it back. */
  async #settleToken(): Promise<void> {
    if (this.#token === undefined) return;
    const { clock } = this.#house;
    const sent = clock.monotonic();
    const limit = new AbortController();
    const asked = this.#lease(0).catch(() => null);
    const lease = await Promise.race([asked, clock.sleep(2000, limit.signal).then(() => null)]);
    limit.abort();
    if (lease) this.#start(lease, sent);
  }

  #start(lease: Lease, sent: number): void {
    const held: Held = { run_id: lease.task.run_id, attempt: lease.attempt };
    const key = `${held.run_id} ${held.attempt}`;
    log.info("run leased", { ...held, lane: lease.task.lane, correlation_id: lease.task.correlation_id });
    this.#house.on({ what: "leased", ...held });
    const done = runAttempt(this.#house, lease, sent, this.#asks)
      .catch((cause: unknown) => log.error("attempt broke off", { ...held, cause }))
      .finally(() => this.#running.delete(key));
    this.#running.set(key, { held, done });
  }

  #unreached(cause: unknown): void {
    if (this.#outage || this.#asks.drain.aborted) return;
    this.#outage = true;
    const refused = cause instanceof MeshError && (cause.kind === "permission" || cause.kind === "config");
    log[refused ? "error" : "warn"](refused ? "store refused this node" : "store not reached", { cause });
  }

  #reached(): void {
    if (this.#outage) log.info("store reached again");
    this.#outage = false;
    this.#everReached = true;
  }
}
