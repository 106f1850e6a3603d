import { longestTimer } from "../core/units.ts";

/** Time as the worker feels it; a test passes its own. */
export interface Clock {
  /** Epoch milliseconds; jumps when the machine slept or the time was set. */
  now(): number;
  /** Milliseconds that only ever rise, and stand still while the machine sleeps. */
  monotonic(): number;
  /** Resolves after `ms`, or at once when the signal fires. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const realClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) => sleepFor(ms, signal),
};

/** Sleeps as a clock does, by timers of at most `longest` milliseconds each. */
export async function sleepFor(ms: number, signal?: AbortSignal, longest = longestTimer): Promise<void> {
  for (let left = Math.max(0, ms); !signal?.aborted; left -= longest) {
    await nap(Math.min(left, longest), signal);
    if (left <= longest) return;
  }
}

const nap = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    }
  });

/** Resolves when the signal fires. */
export function fired(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** Waits that grow from 0.25 s to `longest` ms while a store cannot be reached; `chance` in [0, 1) spreads them. */
export class Backoff {
  readonly #longest: number;
  #next = 250;

  constructor(longest = 5000) {
    this.#longest = longest;
  }

  next(chance: number): number {
    const wait = this.#next;
    this.#next = Math.min(this.#longest, wait * 2);
    return Math.round(wait * (1 - 0.5 * chance));
  }

  reset(): void {
    this.#next = 250;
  }
}
