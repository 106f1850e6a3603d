import { type Bucket, bucketOf } from "../core/rate.ts";
import type { Report } from "../core/records.ts";
import { log } from "../log.ts";
import type { Spool, SpoolFacts } from "../spool/spool.ts";
import { Deadline } from "../stores/deadline.ts";
import type { Accepted, Entry, Store } from "../stores/store.ts";
import { isRefusal, tooLate } from "./away.ts";
import { Forwarder } from "./forward.ts";
import type { Masks } from "./masked-store.ts";
import type { Notes } from "./notes.ts";
import { aboutOf, type Spooled, spooledText, type Withdrawal } from "./spooled.ts";
import { withdraw } from "./withdraw.ts";

/** Deliveries that a source's tasks may reach the store with: `5/s`, by source. */
export type Rates = Record<string, string | undefined>;

export interface IntakeOptions {
  store: Pick<Store, "accept" | "report" | "check" | "list" | "cancel" | "callOff">;
  spool: Spool;
  rates: Rates;
  /** Milliseconds that the store may take; YouTrack hangs up after five seconds. */
  commitWithin: number;
  masks: Masks;
  notes: Pick<Notes, "add">;
  /** Epoch milliseconds. */
  now: () => number;
}

export type Stored = { status: "stored" };

/** What the spool holds, and whether the store is away. */
export type SpoolState = Omit<SpoolFacts, "oldest_at"> & {
  /** How long the oldest record has waited, in milliseconds; null where there is none. */
  oldest_ms: number | null;
  away: boolean;
};

/**
 * The way of a verified delivery into the store, or into the spool where the store cannot take it now: it is on a disk when
 * these promises resolve. While anything waits in the spool that could be forwarded, everything goes through it, in order.
 */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #commit: Deadline;
  readonly #buckets: Map<string, Bucket>;
  readonly #forwarder: Forwarder;
  #rates: Rates;
  #away = false;
  /** Nothing stands in the way between doors and store. */
  #straight: boolean;

  constructor(options: IntakeOptions) {
    this.#options = options;
    const { store, spool, commitWithin, notes, rates, now } = options;
    this.#commit = new Deadline(commitWithin);
    this.#straight = spool.facts().waiting === 0;
    this.#rates = {};
    this.#buckets = new Map();
    this.#fill(rates);
    this.#forwarder = new Forwarder({
      store,
      spool,
      commitWithin,
      notes,
      now,
      buckets: this.#buckets,
      isAway: () => this.#away,
      lost: (why) => this.#lost(why),
      back: () => this.#back(),
      caughtUp: () => this.#caughtUp(),
    });
  }

  /** Stores a task, or keeps it for the store. Throws what the store refused it with, or `unavailable` where neither could take it. */
  accept(entry: Entry): Promise<Accepted | Stored> {
    return this.#take({ kind: "accept", entry }, () => this.#options.store.accept(entry));
  }

  /** Stores a report, or keeps it for the store; throws as `accept` does. */
  async report(report: Report, seen: { seen_at: number; correlation_id: string }): Promise<"new" | "seen" | "stored"> {
    const said = await this.#take({ kind: "report", report, ...seen }, () => this.#options.store.report(report));
    return typeof said === "string" ? said : "stored";
  }

  /** Ends what waits of an issue, or keeps that for the store; throws as `accept` does. */
  withdraw(asked: Omit<Withdrawal, "kind">): Promise<string[] | Stored> {
    const { store, masks } = this.#options;
    const safe = { ...asked, why: masks.text(asked.why) };
    return this.#take({ kind: "withdraw", ...safe }, () => withdraw(store, safe));
  }

  /** Whether a delivery can be kept while the store cannot take it. */
  takes(): Promise<boolean> {
    return this.#options.spool.takes();
  }

  /** Whether a delivery found the store away, and nothing has been heard of it since. */
  get away(): boolean {
    return this.#away;
  }

  state(): SpoolState {
    const { oldest_at, ...facts } = this.#options.spool.facts();
    const oldest_ms = oldest_at === null ? null : this.#options.now() - oldest_at;
    return { ...facts, oldest_ms, away: this.#away };
  }

  /** Takes deliveries at these rates from now on; what waits because of one that is gone goes first. */
  use(rates: Rates): void {
    this.#fill(rates);
    if (this.#options.spool.facts().waiting === 0) return;
    this.#straight = false;
    this.#forwarder.wake();
  }

  /** Forwards no more, and closes the spool; what it holds stays for the next start. */
  async close(): Promise<void> {
    await this.#forwarder.stop();
    await this.#options.spool.close();
  }

  #fill(rates: Rates): void {
    for (const source of this.#buckets.keys()) if (rates[source] === undefined) this.#buckets.delete(source);
    for (const [source, rate] of Object.entries(rates))
      if (rate !== undefined && rate !== this.#rates[source]) this.#buckets.set(source, bucketOf(rate));
    this.#rates = rates;
  }

  async #take<T>(spooled: Spooled, direct: () => Promise<T>): Promise<T | Stored> {
    if (!this.#goesStraight(spooled))
      return await this.#keep(spooled).catch((fault: unknown) => {
        if (this.#away) throw fault;
        // The store is there, only the spool is not: out of turn is better than not at all.
        return this.#commit.within(direct(), tooLate);
      });
    try {
      return await this.#commit.within(direct(), tooLate);
    } catch (error) {
      if (isRefusal(error)) throw error;
      this.#lost(error);
      return await this.#keep(spooled);
    }
  }

  #goesStraight(spooled: Spooled): boolean {
    if (!this.#straight) return false;
    if (this.#buckets.size === 0) return true;
    const { source } = aboutOf(spooled);
    const bucket = this.#buckets.get(source);
    if (!bucket) return true;
    const now = performance.now();
    if (this.#options.spool.waitingIn(source) > 0) return false;
    // What a door ignores is no task that the rate is for, although it may call one off.
    if (spooled.kind === "withdraw" && spooled.debounced) return true;
    if (bucket.wait(now) > 0) return false;
    bucket.take(now);
    return true;
  }

  async #keep(spooled: Spooled): Promise<Stored> {
    const { spool, masks } = this.#options;
    const { source: line, at } = aboutOf(spooled);
    await spool.append({ line, at, text: spooledText(spooled, masks) });
    this.#forwarder.wake();
    return { status: "stored" };
  }

  #lost(why: unknown): void {
    this.#straight = false;
    if (!this.#away) {
      this.#away = true;
      log.warn("store away, deliveries spooled", { why });
      // Those that wait for the store go the same way now: later, they would come behind what arrives meanwhile.
      this.#commit.expireAll();
    }
    this.#forwarder.wake();
  }

  #back(): void {
    this.#away = false;
    log.info("store back", { waiting: this.#options.spool.facts().waiting });
  }

  #caughtUp(): void {
    if (!this.#straight) log.info("spool forwarded");
    this.#straight = true;
  }
}
