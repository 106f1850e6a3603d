import { sha256 } from "./intent.ts";
import type { Task } from "./records.ts";

/** How long a queued run waits for a later move of its issue, in milliseconds of the store's clock. */
export interface Debounce {
  /** From the latest move on. */
  wait_ms: number;
  /** At most, from the first move on. */
  most_ms: number;
}

// An issue that somebody edits without a pause must still be built.
const longestWaits = 10;

/** Makes the wait that `debounce` of a source asks for, which is so many milliseconds. */
export const debounceOf = (ms: number): Debounce => ({ wait_ms: ms, most_ms: ms * longestWaits });

/** What is left of a wait after `elapsed` milliseconds, and never less than `least`; a clock that was set back makes it no longer. */
export function leftOf({ wait_ms, most_ms }: Debounce, elapsed: number, least = 0): Debounce {
  const left = Math.min(wait_ms, Math.max(wait_ms - elapsed, Math.min(least, wait_ms), 0));
  return { wait_ms: left, most_ms: Math.max(left, most_ms - Math.max(0, elapsed)) };
}

/** Hashes what a task builds: two tasks of one move differ in nothing else than what names the delivery. */
export function wishOf({ run_id: _run, correlation_id: _of, accepted_at: _at, idempotency_key: _key, ...wish }: Task) {
  return sha256(JSON.stringify(wish));
}

/** Says of a queued run why nobody has it yet; `until` is epoch milliseconds. */
export const waitsUntil = (until: number): string =>
  `debounced: waits until ${new Date(until).toISOString()} for a later move of the issue`;
