import { expect, test } from "bun:test";
import { Bell } from "../../src/stores/bell.ts";

const long = 120_000;

test("wakes everybody who waits, once", async () => {
  const bell = new Bell();
  const woken: string[] = [];
  const waits = ["a", "b", "c"].map(async (name) => {
    await bell.wait({ ms: long });
    woken.push(name);
  });
  bell.ring();
  await Promise.all(waits);
  expect(woken).toEqual(["a", "b", "c"]);
  expect(bell.count).toBe(1);
});

test("does not let a listener sleep through a ring between two waits", async () => {
  const bell = new Bell();
  const since = bell.count;
  bell.ring();
  await bell.wait({ ms: long, since });
  await bell.wait({ ms: 0, since: bell.count });
});

test("ends a wait with its time", async () => {
  await new Bell().wait({ ms: 1 });
  await new Bell().wait({ ms: -5 });
});

test("ends a wait with its signal, fired before or after", async () => {
  const bell = new Bell();
  await bell.wait({ ms: long, signal: AbortSignal.abort() });
  const impatient = new AbortController();
  const waiting = bell.wait({ ms: long, signal: impatient.signal });
  impatient.abort();
  await waiting;
});

test("waits longer than a timer can, without waking at once", async () => {
  const bell = new Bell();
  let woken = false;
  const waiting = bell.wait({ ms: Number.POSITIVE_INFINITY }).then(() => (woken = true));
  await new Promise(setImmediate);
  await bell.wait({ ms: 2 });
  expect(woken).toBe(false);
  bell.ring();
  await waiting;
});

test("keeps no listener that has gone", async () => {
  const bell = new Bell();
  const impatient = new AbortController();
  for (let i = 0; i < 100; i++) await bell.wait({ ms: 0, signal: impatient.signal });
  expect(Bun.inspect(bell)).not.toContain("wake");
});
