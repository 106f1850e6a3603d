import { expect, test } from "bun:test";
import { Deadline } from "../../src/stores/deadline.ts";

const late = () => new Error("late");
const never = () => new Promise<never>(() => {});

test("answers what the promise answers, and rejects as it rejects", async () => {
  const deadline = new Deadline(60_000);
  expect(await deadline.within(Promise.resolve(7), late)).toBe(7);
  expect(deadline.within(Promise.reject(new Error("its own fault")), late)).rejects.toThrow("its own fault");
});

test("rejects what takes too long, and nothing else that began at the same time", async () => {
  const deadline = new Deadline(20);
  const slow = Promise.withResolvers<string>();
  const all = Promise.allSettled([
    deadline.within(never(), late),
    deadline.within(Promise.resolve("at once"), late),
    deadline.within(never(), late),
  ]);
  expect((await all).map(({ status }) => status)).toEqual(["rejected", "fulfilled", "rejected"]);
  const patient = new Deadline(60_000).within(slow.promise, late);
  slow.resolve("in time");
  expect(await patient).toBe("in time");
});

test("drops a late answer", async () => {
  const slow = Promise.withResolvers<string>();
  const answer = new Deadline(1).within(slow.promise, late);
  expect(answer).rejects.toThrow("late");
  await answer.catch(() => slow.resolve("too late"));
});

test("gives up all that wait at once, in the order they came, and takes new ones", async () => {
  const deadline = new Deadline(60_000);
  const given: number[] = [];
  const waiting = [1, 2, 3].map((n) => deadline.within(never(), late).catch(() => given.push(n)));
  deadline.expireAll();
  await Promise.all(waiting);
  expect(given).toEqual([1, 2, 3]);
  expect(await deadline.within(Promise.resolve(7), late)).toBe(7);
});

test("keeps no timer once everything was answered", async () => {
  const child = Bun.spawn([
    process.execPath,
    "-e",
    `
    const { Deadline } = await import(${JSON.stringify(`${import.meta.dir}/../../src/stores/deadline.ts`)});
    const deadline = new Deadline(600_000);
    await Promise.all(Array.from({ length: 5000 }, (_, n) => deadline.within(Promise.resolve(n), () => new Error("late"))));
  `,
  ]);
  expect(await child.exited).toBe(0);
});
