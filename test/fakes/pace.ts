/** A service's patience: so many requests at once, refilled steadily, and a note of who knocks before the time they were told. */
export class Pace {
  readonly #now: () => number;
  readonly #size: number;
  readonly #perMs: number;
  #left: number;
  #seen = 0;
  #quietUntil = 0;

  constructor(now: () => number, size: number, perSecond: number) {
    this.#now = now;
    this.#size = size;
    this.#perMs = perSecond / 1000;
    this.#left = size;
  }

  /** Wants silence from now on. */
  hush(seconds: number): number {
    this.#quietUntil = this.#now() + seconds * 1000;
    return seconds;
  }

  /** Answers the whole seconds to stay away, or null where this one may pass. Throws where it came too early. */
  ask(): number | null {
    const now = this.#now();
    if (now < this.#quietUntil)
      throw new Error(`${this.#quietUntil - now} ms too early for the Retry-After it was told`);
    this.#left = Math.min(this.#size, this.#left + Math.max(0, now - this.#seen) * this.#perMs);
    this.#seen = now;
    if (this.#left < 1) return this.hush(Math.ceil((1 - this.#left) / this.#perMs / 1000));
    this.#left -= 1;
    return null;
  }
}
