import { expect, test } from "bun:test";
import { every } from "../../src/gateway/reap.ts";
import { nap } from "../../src/gateway/stir.ts";

const thirtyDays = 30 * 86_400_000;

/** Resolves once timers that were due at once have fired. */
const oneTimerLater = () => new Promise((resolve) => setTimeout(resolve, 10));

test("a nap longer than a timer can be does not end at once", async () => {
  const over = new AbortController();
  let woke = false;
  const napping = nap(thirtyDays, over.signal).then(() => (woke = true));
  await oneTimerLater();
  expect(woke).toBe(false);
  over.abort();
  await napping;
});

test("what is to be done every thirty days is not done again at once", async () => {
  let done = 0;
  const loop = every(thirtyDays, "nothing done", 0, async () => void done++);
  for (let n = 0; n < 3; n++) await oneTimerLater();
  await loop.stop();
  expect(done).toBe(1);
});
