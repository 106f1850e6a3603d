// https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x15-V6-Authentication.md (6.3.1: limit credential guessing)
const burst = 10;
const perSecond = 1;
const mostClients = 10_000;

interface Bucket {
  left: number;
  at: number;
}

/** Counts wrong tokens per client: ten at once, then one a second. Right ones are never counted, so nobody's mistakes throttle them. */
export class FailedTokens {
  readonly #buckets = new Map<string, Bucket>();
  readonly #now: () => number;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Counts one mistake; false when the client had none left. */
  take(client: string): boolean {
    const bucket = this.#buckets.get(client);
    const left = bucket ? this.#refilled(bucket) : burst;
    // Deleted and set again: the map's order is by last mistake, and the oldest make room.
    this.#buckets.delete(client);
    this.#buckets.set(client, { left: left < 1 ? left : left - 1, at: this.#now() });
    if (this.#buckets.size > mostClients) this.#forgetOldest();
    return left >= 1;
  }

  #refilled({ left, at }: Bucket): number {
    return Math.min(burst, left + ((this.#now() - at) / 1000) * perSecond);
  }

  #forgetOldest(): void {
    for (const client of this.#buckets.keys()) {
      this.#buckets.delete(client);
      return;
    }
  }
}
