/** Lets so many through per second or minute: full at first, refilled steadily. */
export interface Bucket {
  /** Milliseconds until there is one to take; 0 where there is one now. */
  wait(now: number): number;
  take(now: number): void;
}

/** Makes the bucket of a rate as the configuration writes it: `5/s`, `60/m`; without one, everything passes. */
export function bucketOf(rate: string | undefined): Bucket {
  const [, count, unit] = /^(\d+)\/(s|m)$/.exec(rate ?? "") ?? [];
  if (count === undefined) return { wait: () => 0, take: () => {} };
  const size = Math.max(1, Number(count));
  const perMs = size / (unit === "s" ? 1000 : 60_000);
  let left = size;
  let seen = -Infinity;
  const refill = (now: number): void => {
    // A clock that jumps back refills nothing, and takes nothing away.
    left = Math.min(size, left + Math.max(0, now - seen) * perMs);
    seen = now;
  };
  return {
    wait(now) {
      refill(now);
      return left >= 1 ? 0 : Math.ceil((1 - left) / perMs);
    },
    take(now) {
      refill(now);
      left -= 1;
    },
  };
}
