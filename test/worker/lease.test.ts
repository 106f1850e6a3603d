import { expect, setDefaultTimeout, test } from "bun:test";
import { realClock } from "../../src/worker/clock.ts";
import { isAlive, until, Yard } from "./yard.ts";

// Real processes on a busy machine.
setDefaultTimeout(30_000);

const brisk = { ttl_ms: 3000, heartbeat_ms: 200, fence_ms: 1000, timeout_ms: 60_000 };
const staying = (yard: Yard) => `echo $$ > ${yard.path("pid")}; exec sleep 600`;
const pidOf = (yard: Yard) => Number(yard.read("pid"));

test("the script starts only after its first heartbeat has been answered", async () => {
  await using yard = new Yard();
  yard.script("build", `echo begun > ${yard.path("begun")}`);
  const renew = yard.store.renew.bind(yard.store);
  const held = Promise.withResolvers<void>();
  yard.store.renew = async (...given) => {
    await held.promise;
    expect(yard.read("begun")).toBe("");
    return renew(...given);
  };
  yard.store.add({});
  const worker = yard.start({ once: true });
  await until("it was leased", () => yard.events.some(({ what }) => what === "leased"));
  expect(yard.events.some(({ what }) => what === "started")).toBe(false);
  held.resolve();
  await worker.done;
  expect(yard.read("begun")).toBe("begun\n");
});

test.each(["cancel", "stale"] as const)("a first heartbeat that answers %s starts nothing", async (word) => {
  await using yard = new Yard();
  const { run_id } = yard.store.add({});
  yard.script("build", `echo begun > ${yard.path("begun")}`);
  yard.store.say(run_id, word);
  await yard.start({ once: true }).done;
  expect(yard.read("begun")).toBe("");
  expect(yard.store.results.map(({ state }) => state)).toEqual(word === "cancel" ? ["cancelled"] : []);
});

test("keeps renewing while the script runs, and stops when it is over", async () => {
  await using yard = new Yard();
  yard.store.numbers = brisk;
  yard.script("build", `until [ -e ${yard.path("end")} ]; do sleep 0.02; done`);
  yard.store.add({});
  const worker = yard.start({ once: true });
  await until("it renewed often", () => yard.store.renewals.length >= 4);
  await Bun.write(yard.path("end"), "");
  await worker.done;
  expect(yard.store.order.at(-1)).toBe("finish");
});

test("a cancel reaches the script at once, and is said of it", async () => {
  await using yard = new Yard();
  yard.script("build", staying(yard));
  const { run_id } = yard.store.add({});
  const worker = yard.start({ once: true });
  await until("it runs", () => pidOf(yard) > 0);
  yard.store.say(run_id, "cancel"); // the heartbeat is 20 s away: only a call that waits can hear it
  await worker.done;
  expect(isAlive(pidOf(yard))).toBe(false);
  expect(yard.store.results).toMatchObject([{ state: "cancelled", exit_code: null }]);
});

test("a stale lease kills the script, and nothing is said of it", async () => {
  await using yard = new Yard();
  yard.script("build", `trap "" TERM; ${staying(yard)}`);
  const { run_id } = yard.store.add({});
  const worker = yard.start({ once: true });
  await until("it runs", () => pidOf(yard) > 0);
  yard.store.say(run_id, "stale");
  await worker.done;
  expect(isAlive(pidOf(yard))).toBe(false);
  expect(yard.store.results).toEqual([]);
  expect(yard.events).toContainEqual({ what: "lost", why: "stale", run_id, attempt: 1 });
});

test("a cut longer than the fence ends the script before the lease ends, and nothing is said of it", async () => {
  await using yard = new Yard();
  // Dead after some 3.5 s: a machine that is busy with other things has as much again.
  const numbers = { ...brisk, ttl_ms: 6000 };
  yard.store.numbers = numbers;
  yard.script("build", `trap "" TERM; ${staying(yard)}`);
  yard.store.add({});
  const worker = yard.start({ once: true });
  await until("it runs", () => pidOf(yard) > 0 && yard.store.renewals.length >= 2);
  yard.store.cut = true;
  const cutAt = performance.now();
  await until("it is dead", () => !isAlive(pidOf(yard)));
  // The last renewal was sent before the cut, so this is a bound that the lease itself sets.
  expect(performance.now() - cutAt).toBeLessThan(numbers.ttl_ms);
  yard.store.cut = false;
  yard.store.stir();
  await worker.done;
  expect(yard.store.results).toEqual([]);
  expect(yard.events.filter(({ what }) => what === "lost")).toMatchObject([{ why: "fence" }]);
});

test("a cut longer than the fence loses the attempt, and not its log", async () => {
  await using yard = new Yard();
  yard.store.numbers = brisk;
  yard.script(
    "build",
    `echo before; until [ -e ${yard.path("cut")} ]; do sleep 0.02; done; echo during; ${staying(yard)}`,
  );
  const { run_id } = yard.store.add({});
  const worker = yard.start({ once: true });
  await until("its first line arrived", () => yard.store.logOf(run_id) === "before\n");
  yard.store.cut = true;
  yard.store.stir();
  await Bun.write(yard.path("cut"), "");
  await until("the attempt is lost", () => yard.events.some(({ what }) => what === "lost"));
  expect(isAlive(pidOf(yard))).toBe(false);
  expect(yard.store.logOf(run_id)).toBe("before\n");
  yard.store.cut = false;
  await worker.done;
  expect(yard.store.logOf(run_id)).toBe("before\nduring\n");
  expect(yard.store.results).toEqual([]);
});

test("a script that ended in a cut loses no line, however long the cut: its lease is kept while the log is shipped", async () => {
  await using yard = new Yard();
  yard.store.numbers = { ...brisk, ttl_ms: 1500, fence_ms: 1000 };
  yard.script("build", `echo before; until [ -e ${yard.path("cut")} ]; do sleep 0.02; done; echo during`);
  const { run_id } = yard.store.add({});
  const worker = yard.start({ once: true });
  await until("its first line arrived", () => yard.store.logOf(run_id) === "before\n");
  yard.store.cut = true;
  const cutAt = performance.now();
  yard.store.stir();
  await Bun.write(yard.path("cut"), "");
  await until("the lease is over", () => performance.now() - cutAt > 2000);
  yard.store.cut = false;
  await worker.done;
  expect(yard.store.logOf(run_id)).toBe("before\nduring\n");
  expect(yard.store.results).toMatchObject([{ state: "succeeded" }]);
});

test("a store that renews and takes no log is not waited for: the result comes without it", async () => {
  await using yard = new Yard();
  // Half a minute is long for a test.
  const pace = 20;
  const clock = {
    ...realClock,
    monotonic: () => performance.now() * pace,
    sleep: (ms: number, signal?: AbortSignal) => realClock.sleep(ms / pace, signal),
  };
  yard.store.numbers = { ...brisk, ttl_ms: 90_000, fence_ms: 60_000 };
  yard.store.appetite = 0;
  yard.script("build", "echo unheard");
  yard.store.add({});
  await yard.start({ once: true, clock }).done;
  expect(yard.store.results).toMatchObject([{ state: "succeeded" }]);
});

test("a worker that is told to go does not wait for a store that is gone", async () => {
  await using yard = new Yard();
  yard.store.numbers = brisk;
  yard.script(
    "build",
    `echo before; until [ -e ${yard.path("cut")} ]; do sleep 0.02; done; echo during; ${staying(yard)}`,
  );
  const { run_id } = yard.store.add({});
  const worker = yard.start();
  await until("its first line arrived", () => yard.store.logOf(run_id) === "before\n");
  yard.store.cut = true;
  yard.store.stir();
  await Bun.write(yard.path("cut"), "");
  await until("the attempt is lost", () => yard.events.some(({ what }) => what === "lost"));
  worker.drain();
  await worker.done;
  expect(yard.store.results).toEqual([]);
});

test("a cut shorter than the fence loses nothing", async () => {
  await using yard = new Yard();
  yard.store.numbers = { ...brisk, ttl_ms: 90_000, fence_ms: 60_000 };
  yard.script("build", `echo before; until [ -e ${yard.path("end")} ]; do sleep 0.02; done; echo after`);
  const { run_id } = yard.store.add({});
  const worker = yard.start({ once: true });
  await until("its first line arrived", () => yard.store.logOf(run_id) === "before\n");
  yard.store.cut = true;
  yard.store.stir();
  await until("renewals failed", () => yard.store.refusals >= 3);
  await Bun.write(yard.path("end"), "");
  await until("the result was refused, too", () => yard.store.refusals >= 6);
  yard.store.cut = false;
  await worker.done;
  expect(yard.store.results).toMatchObject([{ state: "succeeded" }]);
  expect(yard.store.logOf(run_id)).toBe("before\nafter\n");
});

test("after the machine slept, the lease is renewed at once", async () => {
  await using yard = new Yard();
  yard.script("build", staying(yard));
  yard.store.add({});
  let slept = 0;
  const clock = {
    ...realClock,
    now: () => Date.now() + slept,
    // One second between looks at the clocks is long for a test.
    sleep: (ms: number, signal?: AbortSignal) => realClock.sleep(ms === 1000 ? 5 : ms, signal),
  };
  yard.start({ once: true, clock });
  await until("it runs and waits", () => pidOf(yard) > 0 && yard.store.renewals.length === 2);
  slept = 3_600_000;
  await until("it renewed again", () => yard.store.renewals.length >= 3);
});
