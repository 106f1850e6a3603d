import { expect, test } from "bun:test";
import { sleepFor } from "../../src/worker/clock.ts";

test("sleeps for as long as it was asked, however short the longest timer is", async () => {
  const since = performance.now();
  await sleepFor(60, undefined, 7);
  // A timer may be a millisecond early; each of these is a new one.
  expect(performance.now() - since).toBeGreaterThan(45);
});

test("ends a sleep of several timers when its signal fires", async () => {
  const over = new AbortController();
  const sleeping = sleepFor(3_600_000, over.signal, 5);
  await sleepFor(20);
  over.abort();
  await sleeping;
  await sleepFor(3_600_000, over.signal);
});
