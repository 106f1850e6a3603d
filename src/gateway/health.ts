import { log } from "../log.ts";
import type { Store } from "../stores/store.ts";

export type HealthState = "warming" | "ready" | "draining" | "failed";

/** What takes deliveries while the store cannot. */
export interface Fallback {
  /** Whether a delivery found the store away, and nothing has been heard of it since. */
  readonly away: boolean;
  takes(): Promise<boolean>;
}

const nothing: Fallback = { away: false, takes: async () => false };
const askEvery = 1000;
const patience = 2000;

/** Knows whether this gateway can take a delivery, into the store or the spool: asks the store for a real write, at most once a second. */
export class Health {
  readonly #store: Pick<Store, "check">;
  readonly #fallback: Fallback;
  readonly #now: () => number;
  #asked = Number.NEGATIVE_INFINITY;
  #asking: Promise<boolean> | undefined;
  #writable: boolean | undefined;
  #draining = false;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(store: Pick<Store, "check">, fallback: Fallback = nothing, now: () => number = () => performance.now()) {
    this.#store = store;
    this.#fallback = fallback;
    this.#now = now;
  }

  /** Whether a task can be stored now; the answer is at most a second old. */
  async writable(): Promise<boolean> {
    if (this.#asking) return await this.#asking;
    if (this.#writable === undefined || this.#now() - this.#asked >= askEvery) {
      this.#asking = this.#ask();
      try {
        return await this.#asking;
      } finally {
        this.#asking = undefined;
      }
    }
    return this.#writable;
  }

  /** Whether a delivery can be taken now, into the store or the spool. */
  async takes(): Promise<boolean> {
    return (await this.writable()) || (await this.#fallback.takes());
  }

  /** What this gateway is doing, and what keeps it from being ready. */
  async state(): Promise<{ state: HealthState; failing: string[] }> {
    if (this.#draining) return { state: "draining", failing: [] };
    if ((await this.writable()) && !this.#fallback.away) return { state: "ready", failing: [] };
    return { state: "failed", failing: (await this.#fallback.takes()) ? ["store"] : ["store", "spool"] };
  }

  /** The last thing known, without asking the store. */
  get last(): HealthState {
    if (this.#draining) return "draining";
    if (this.#writable === undefined) return "warming";
    return this.#writable ? "ready" : "failed";
  }

  /** From now on this gateway is not ready, whatever its store says. */
  drain(): void {
    this.#draining = true;
  }

  async #ask(): Promise<boolean> {
    this.#asked = this.#now();
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error("no answer in time")), patience);
    try {
      await Promise.race([this.#store.check(), late]);
      if (this.#writable === false) log.info("store writable again");
      this.#writable = true;
    } catch (error) {
      if (this.#writable !== false) log.error("store not writable", { why: error });
      this.#writable = false;
    } finally {
      clearTimeout(timer);
    }
    return this.#writable;
  }
}
