import { longestTimer } from "../core/units.ts";

/** How long to listen for a ring; `since` is the count last heard: a ring after it ends the wait at once. */
export interface Listening {
  ms: number;
  signal?: AbortSignal | undefined;
  since?: number;
}

/** Wakes everybody who waits in this process. A listener that remembers `count` misses no ring between two waits. */
export class Bell {
  #count = 0;
  #listeners = new Set<() => void>();

  /** How often it has rung. */
  get count(): number {
    return this.#count;
  }

  ring(): void {
    this.#count++;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const wake of listeners) wake();
  }

  /** Resolves at the next ring, when `ms` are over, or when the signal fires; never rejects. */
  wait({ ms, signal, since = this.#count }: Listening): Promise<void> {
    if (signal?.aborted || since !== this.#count) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", wake);
        this.#listeners.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, Math.min(Math.max(0, ms), longestTimer));
      signal?.addEventListener("abort", wake);
      this.#listeners.add(wake);
    });
  }
}
