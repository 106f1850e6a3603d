import type { Report, Result, Task } from "../../src/core/records.ts";
import type { Held, Lease, LeaseAsk, LogChunk, NodeStore, Renewal, Wait, Word } from "../../src/stores/store.ts";

/** A small store for one worker, in memory. It can be cut off, and it can change its mind about a lease. */
export class MemoryStore implements NodeStore {
  readonly asks: LeaseAsk[] = [];
  readonly renewals: Held[][] = [];
  readonly results: Result[] = [];
  readonly logs = new Map<string, Uint8Array>();
  readonly words = new Map<string, Word>();
  readonly order: string[] = [];
  numbers = { ttl_ms: 90_000, heartbeat_ms: 20_000, fence_ms: 60_000, timeout_ms: 60_000 };
  log_limit = 64 * 1024 * 1024;
  /** While true every verb fails as a store that is gone does. */
  cut = false;
  refusals = 0;
  /** Answers of `lease` that are lost on the way back. */
  loseAnswers = 0;
  /** Longest append that is taken in one call. */
  appetite = Infinity;
  readonly #waiting: Task[] = [];
  readonly #leases = new Map<string, Lease>();
  readonly #attempts = new Map<string, number>();
  #changed = Promise.withResolvers<void>();

  add(task: Partial<Task>): Task {
    const whole = taskOf(task);
    this.#waiting.push(whole);
    this.stir();
    return whole;
  }

  /** Lets every waiting call look again. */
  stir(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  say(run_id: string, word: Word): void {
    this.words.set(run_id, word);
    this.stir();
  }

  logOf(run_id: string, attempt = 1): string {
    return Buffer.from(this.logs.get(`${run_id} ${attempt}`) ?? []).toString();
  }

  async lease(ask: LeaseAsk, wait: Wait = { ms: 0 }): Promise<Lease | null> {
    this.#reach();
    this.asks.push(ask);
    const until = Date.now() + wait.ms;
    for (;;) {
      const known = this.#leases.get(ask.token);
      const lease = known ?? this.#next(ask);
      if (lease && this.loseAnswers > 0) {
        this.loseAnswers--;
        throw new Error("the answer was lost");
      }
      if (lease) return lease;
      if (Date.now() >= until || wait.signal?.aborted) return null;
      await this.#change(until - Date.now(), wait.signal);
      this.#reach();
    }
  }

  async renew(_node: string, held: Held[], wait: Wait = { ms: 0 }): Promise<Renewal> {
    this.#reach();
    this.renewals.push(held);
    this.order.push("renew");
    const until = Date.now() + wait.ms;
    for (;;) {
      const words = held.map(({ run_id }) => this.words.get(run_id) ?? "ok");
      if (words.some((word) => word !== "ok") || Date.now() >= until || wait.signal?.aborted)
        return { words, forgotten: [] };
      await this.#change(until - Date.now(), wait.signal);
      this.#reach();
    }
  }

  async log({ run_id, attempt, offset, bytes }: LogChunk): Promise<number | "stale"> {
    this.#reach();
    const key = `${run_id} ${attempt}`;
    const old = this.logs.get(key) ?? new Uint8Array();
    if (offset > old.length) return old.length;
    const fresh = bytes.subarray(old.length - offset).subarray(0, this.appetite);
    this.logs.set(key, Buffer.concat([old, fresh]));
    return old.length + fresh.length;
  }

  async finish(result: Result): Promise<"ok" | "stale"> {
    this.#reach();
    if (this.words.get(result.run_id) === "stale") return "stale";
    this.results.push(result);
    this.order.push("finish");
    return "ok";
  }

  async report(_report: Report): Promise<"new" | "seen"> {
    return "new";
  }

  async close(): Promise<void> {}

  #next({ token, facts }: LeaseAsk): Lease | null {
    const index = this.#waiting.findIndex(() => facts.scripts !== undefined);
    const task = index === -1 ? undefined : this.#waiting.splice(index, 1)[0];
    if (!task) return null;
    const attempt = (this.#attempts.get(task.run_id) ?? 0) + 1;
    this.#attempts.set(task.run_id, attempt);
    const lease: Lease = { task, attempt, ...this.numbers, log_limit: this.log_limit, run_url: null };
    this.#leases.set(token, lease);
    return lease;
  }

  #reach(): void {
    if (!this.cut) return;
    this.refusals++;
    throw new Error("the store is gone");
  }

  #change(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, Math.max(0, ms));
      signal?.addEventListener("abort", done, { once: true });
      void this.#changed.promise.then(done);
      function done(): void {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      }
    });
  }
}

let count = 0;

export function taskOf(task: Partial<Task> = {}): Task {
  count++;
  return {
    v: 1,
    run_id: `01975f3e-0000-7000-8000-${String(count).padStart(12, "0")}`,
    source: "jira",
    issue_key: "MOB-12",
    issue_id: "10012",
    issue_url: null,
    project: "MOB",
    transition_id: "31",
    summary: "The login button is grey",
    requested_by: "Ada",
    repo_url: "git@github.com:acme/app.git",
    ref: "main",
    script: "build",
    lane: "ios",
    params: {},
    timeout_s: 60,
    idempotency_key: "jira:MOB-12:31:1",
    correlation_id: "c-1",
    accepted_at: 0,
    ...task,
  };
}
