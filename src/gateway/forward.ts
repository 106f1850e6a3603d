import { leftOf } from "../core/debounce.ts";
import type { Bucket } from "../core/rate.ts";
import { log } from "../log.ts";
import type { Kept } from "../spool/frame.ts";
import type { Next, Spool } from "../spool/spool.ts";
import { Deadline } from "../stores/deadline.ts";
import type { Entry, Store } from "../stores/store.ts";
import { isRefusal, tooLate } from "./away.ts";
import type { Notes } from "./notes.ts";
import { aboutOf, readSpooled, type Spooled } from "./spooled.ts";
import { nap } from "./stir.ts";
import { withdraw } from "./withdraw.ts";

export interface ForwarderOptions {
  store: Pick<Store, "accept" | "report" | "check" | "list" | "cancel" | "callOff">;
  spool: Spool;
  commitWithin: number;
  notes: Pick<Notes, "add">;
  /** Epoch milliseconds. */
  now: () => number;
  /** How fast the records of a source may go; one without goes as fast as the store. */
  buckets: Map<string, Bucket>;
  isAway(): boolean;
  /** The store could not be asked. */
  lost(why: unknown): void;
  /** The store has answered again. */
  back(): void;
  /** Nothing waits but for its rate or for room in its lane. */
  caughtUp(): void;
}

/** A record at the front of its line, read. */
interface Record extends Next {
  text: string;
  spooled: Spooled;
}

/** What became of one: taken or set aside, to be tried again after a while, or why the store could not be asked. */
type Fate = "done" | "held" | { why: unknown };

const batch = 64;
const holdFor = 1000;
const firstPause = 100;
const longestPause = 1000;
const adoptEvery = 15_000;
// A later move of the issue may be the next in the line: it comes in time to take the place of this one.
const waitForNext = 1000;

/**
 * Forwards the spool to the store, oldest first, until stopped. Order holds per source, and two records of one issue are never
 * under way at once. Whatever is forwarded twice is one run: the record keeps its run_id and marks.
 */
export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #commit: Deadline;
  readonly #over = new AbortController();
  readonly #held = new Map<string, number>();
  readonly #running: Promise<void>;
  #bell = Promise.withResolvers<void>();
  #pause = firstPause;
  #failing = false;
  #adoptedAt = performance.now();

  constructor(options: ForwarderOptions) {
    this.#options = options;
    this.#commit = new Deadline(options.commitWithin);
    this.#running = this.#run();
  }

  /** Looks now: something was spooled, or the store may be back. */
  wake(): void {
    this.#bell.resolve();
  }

  /** Resolves when what is under way is over. */
  async stop(): Promise<void> {
    this.#over.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      this.#bell = Promise.withResolvers<void>();
      const ms = await this.#turn().then(this.#well, this.#failed);
      if (ms === 0 || signal.aborted) continue;
      const rest = new AbortController();
      const sleep = nap(Math.min(ms, adoptEvery), AbortSignal.any([signal, rest.signal]));
      // While the store is away a new record is no reason to ask it more often.
      await (this.#options.isAway() ? sleep : Promise.race([sleep, this.#bell.promise]));
      rest.abort();
    }
  }

  readonly #well = (ms: number): number => {
    this.#failing = false;
    return ms;
  };

  /** Says once that the spool itself cannot be read. */
  readonly #failed = (why: unknown): number => {
    if (!this.#failing) log.error("spool not forwarded", { why });
    this.#failing = true;
    return longestPause;
  };

  /** Forwards one batch; answers how long to wait for the next, in milliseconds. */
  async #turn(): Promise<number> {
    const { spool, isAway } = this.#options;
    await this.#adopt();
    const now = performance.now();
    const front = spool.front(isAway() ? 1 : batch, (line) => this.#most(line, now));
    if (front.length === 0) return isAway() && spool.names().size === 0 ? await this.#askStore() : this.#idle(now);
    const records = await this.#readable(front);
    if (records.length > 0) await this.#forward(records);
    await spool.settle();
    if (!isAway()) return 0;
    this.#pause = Math.min(this.#pause * 2, longestPause);
    return this.#pause;
  }

  /** How many records of a line may go now. */
  #most(line: string, now: number): number {
    if ((this.#held.get(line) ?? 0) > now) return 0;
    const bucket = this.#options.buckets.get(line);
    if (!bucket) return Infinity;
    return bucket.wait(now) > 0 ? 0 : 1;
  }

  /** Says whether all but the held back is done, and how long these are. */
  #idle(now: number): number {
    const { spool, buckets, isAway, caughtUp } = this.#options;
    let next = Infinity;
    let waiting = false;
    for (const line of spool.names()) {
      const wait = Math.max((this.#held.get(line) ?? 0) - now, buckets.get(line)?.wait(now) ?? 0);
      if (wait > 0) next = Math.min(next, wait);
      else waiting = true; // on its way to the disk: it will wake us
    }
    if (isAway()) return this.#pause;
    if (!waiting) caughtUp();
    return Math.max(1, next);
  }

  async #askStore(): Promise<number> {
    try {
      await this.#commit.within(this.#options.store.check(), tooLate);
      this.#heard();
      return 0;
    } catch {
      this.#pause = Math.min(this.#pause * 2, longestPause);
      return this.#pause;
    }
  }

  #heard(): void {
    this.#pause = firstPause;
    if (this.#options.isAway()) this.#options.back();
  }

  /** Reads records up to the first whose issue is in the batch already; what cannot be read is set aside at the front of its line. */
  async #readable(front: Next[]): Promise<Record[]> {
    const { spool } = this.#options;
    const texts = await spool.read(front);
    const records: Record[] = [];
    const subjects = new Set<string>();
    for (const [i, next] of front.entries()) {
      const text = texts[i] ?? null;
      const spooled = text === null ? null : readSpooled(text);
      if (text === null || !spooled) {
        if (records.length > 0) break; // when it is the first
        const { line, place } = next;
        if (text !== null && !(await this.#setAside({ line, at: place.at, text }))) break;
        log.error("spooled delivery not readable", { door: line, file: place.segment.path });
        spool.forget(line);
        break;
      }
      const { source, subject } = aboutOf(spooled);
      if (subjects.has(`${source}/${subject}`)) break;
      subjects.add(`${source}/${subject}`);
      records.push({ ...next, text, spooled });
    }
    return records;
  }

  async #forward(records: Record[]): Promise<void> {
    const now = performance.now();
    for (const { line } of records) this.#options.buckets.get(line)?.take(now);
    const fates = await Promise.all(records.map((record) => this.#one(record)));
    // A line goes on only up to its first record that is not done; those after it are repeated then.
    const stopped = new Set<string>();
    for (const [i, { line }] of records.entries()) {
      if (fates[i] !== "done") stopped.add(line);
      if (!stopped.has(line)) this.#options.spool.forget(line);
    }
    const lost = fates.find((fate) => typeof fate === "object");
    if (lost) this.#options.lost(lost.why);
    else this.#heard();
  }

  async #one(record: Record): Promise<Fate> {
    const { spooled, line, place, text } = record;
    try {
      const said = await this.#commit.within(this.#ask(spooled), tooLate);
      this.#tell(record, said);
    } catch (why) {
      if (!isRefusal(why)) return { why };
      if (!(await this.#setAside({ line, at: place.at, text }))) return "held";
      this.#tellRefusal(spooled, why);
    }
    return "done";
  }

  async #ask(spooled: Spooled): Promise<{ status: string; run_id: string | null }> {
    const { store } = this.#options;
    if (spooled.kind === "report") return { status: await store.report(spooled.report), run_id: null };
    if (spooled.kind === "withdraw") {
      const ended = await withdraw(store, spooled);
      return { status: ended.length > 0 ? "withdrawn" : "nothing to withdraw", run_id: ended[0] ?? null };
    }
    const accepted = await store.accept(this.#waited(spooled.entry));
    return { status: accepted.status, run_id: "run_id" in accepted ? accepted.run_id : null };
  }

  /** The entry with what is left of its wait, which began when it was seen; one with others behind it waits for them a little. */
  #waited(entry: Entry): Entry {
    const { debounce, seen_at, task } = entry;
    if (!debounce) return entry;
    const least = this.#options.spool.waitingIn(task.source) > 1 ? waitForNext : 0;
    return { ...entry, debounce: leftOf(debounce, this.#options.now() - seen_at, least) };
  }

  #tell({ spooled }: Record, { status, run_id }: { status: string; run_id: string | null }): void {
    const { source, at, correlation_id, subject } = aboutOf(spooled);
    const ms = this.#options.now() - at;
    log.info("spooled delivery forwarded", { door: source, outcome: status, correlation_id, run_id, subject, ms });
    if (status !== "duplicate" || spooled.kind !== "accept") return;
    const { issue_key } = spooled.entry.task;
    this.#options.notes.add({
      at,
      source,
      correlation_id,
      outcome: "duplicate",
      reason: spooledReason,
      run_id,
      issue_key,
    });
  }

  #tellRefusal(spooled: Spooled, why: unknown): void {
    const { source, at, correlation_id } = aboutOf(spooled);
    log.error("spooled delivery refused by the store", { door: source, correlation_id, why });
    const reason = why instanceof Error ? why.message : "the store refused it";
    const task = spooled.kind === "accept" ? spooled.entry.task : null;
    const run_id = task?.run_id ?? null;
    const issue_key = task?.issue_key ?? null;
    this.#options.notes.add({ at, source, correlation_id, outcome: "refused", reason, run_id, issue_key });
  }

  /** Sets a record aside where it blocks nobody; where the disk does not let us, its line waits. */
  async #setAside(kept: Kept): Promise<boolean> {
    try {
      await this.#options.spool.setAside(kept);
      return true;
    } catch (why) {
      log.error("refused delivery not set aside", { door: kept.line, why });
      this.#hold(kept.line);
      return false;
    }
  }

  #hold(line: string): void {
    this.#held.set(line, performance.now() + holdFor);
  }

  async #adopt(): Promise<void> {
    if (performance.now() - this.#adoptedAt < adoptEvery) return;
    this.#adoptedAt = performance.now();
    if (await this.#options.spool.adopt()) log.info("spool of a gateway that is gone adopted");
  }
}

const spooledReason = "it waited in the spool";
