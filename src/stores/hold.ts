// Whoever wants a lock asks again well within this; who does not is gone, and what it wanted is free for others.
const longestWant = 5000;

/** Milliseconds for which a lock that could not be had is wanted. */
export const patienceFor = (ttl_ms: number): number => Math.min(ttl_ms, longestWant);
