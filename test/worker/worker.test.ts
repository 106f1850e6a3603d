import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { realClock } from "../../src/worker/clock.ts";
import { isAlive, until, Yard } from "./yard.ts";

// Real processes on a busy machine.
setDefaultTimeout(30_000);

const runs = (yard: Yard) => yard.store.results.map(({ run_id }) => run_id);
const waiting = (yard: Yard) => `until [ -e ${yard.path("end")} ]; do sleep 0.02; done`;

test("runs one task after another until it is drained", async () => {
  await using yard = new Yard();
  yard.script("build", "true");
  const tasks = [yard.store.add({}), yard.store.add({}), yard.store.add({})];
  const worker = yard.start();
  await until("all ran", () => yard.store.results.length === 3);
  expect(runs(yard)).toEqual(tasks.map(({ run_id }) => run_id));
  worker.drain();
  expect(await worker.done).toBe("ran");
  const tokens = yard.store.asks.map(({ token }) => token);
  expect(new Set(tokens).size).toBe(tokens.length);
});

test("runs as many at once as it may, and says what it holds", async () => {
  await using yard = new Yard();
  yard.node.concurrency = 2;
  yard.script("build", waiting(yard));
  const [one, two, three] = [yard.store.add({}), yard.store.add({}), yard.store.add({})];
  yard.start();
  const started = () => yard.events.filter(({ what }) => what === "started").length;
  await until("two run", () => started() === 2);
  expect(yard.store.asks.at(-1)?.holding).toEqual([{ run_id: one.run_id, attempt: 1 }]);
  await Bun.write(yard.path("end"), "");
  await until("all ran", () => yard.store.results.length === 3);
  expect(runs(yard).toSorted()).toEqual([one, two, three].map(({ run_id }) => run_id));
});

test("--once with no task says so", async () => {
  await using yard = new Yard();
  expect(await yard.start({ once: true }).done).toBe("nothing");
});

test("--once says when the store was not reached", async () => {
  await using yard = new Yard();
  yard.store.cut = true;
  const worker = yard.start({ once: true });
  expect(worker.done).rejects.toThrow("the store is gone");
});

test("asks with the same token until it is answered, so a lost answer loses no run", async () => {
  await using yard = new Yard();
  yard.script("build", "true");
  yard.store.loseAnswers = 2;
  yard.store.add({});
  yard.start();
  await until("it ran", () => yard.store.results.length === 1);
  const [first, second, third] = yard.store.asks.map(({ token }) => token);
  expect([second, third]).toEqual([first, first]);
  expect(yard.store.results).toMatchObject([{ attempt: 1, state: "succeeded" }]);
});

test("works on when the store comes back", async () => {
  await using yard = new Yard();
  yard.script("build", "true");
  yard.store.cut = true;
  yard.start();
  yard.store.add({});
  yard.store.cut = false;
  await until("it ran", () => yard.store.results.length === 1);
});

test("a result is said until the store has heard it", async () => {
  await using yard = new Yard();
  yard.script("build", `touch ${yard.path("ran")}`);
  const finish = yard.store.finish.bind(yard.store);
  let refused = 0;
  yard.store.finish = async (result) => {
    if (refused++ < 2) throw new Error("not now");
    return finish(result);
  };
  yard.store.add({});
  const worker = yard.start();
  await until("it ran", () => yard.read("ran") !== "" || existsSync(yard.path("ran")));
  worker.drain();
  await worker.done;
  expect(yard.store.results).toMatchObject([{ state: "succeeded" }]);
});

test("a drain ends the wait at once and lets the script finish", async () => {
  await using yard = new Yard();
  yard.node.concurrency = 2;
  yard.script("build", waiting(yard));
  yard.store.add({});
  const worker = yard.start();
  // A run that was leased and has not begun would be handed back.
  const began = () => yard.events.some(({ what }) => what === "started");
  await until("it runs and a second one is asked for", () => began() && yard.store.asks.length === 2);
  worker.drain();
  await new Promise(setImmediate); // the store has heard of it
  yard.store.add({});
  await Bun.write(yard.path("end"), "");
  await worker.done;
  expect(yard.store.results).toMatchObject([{ state: "succeeded" }]);
});

test("a stop ends the script and hands its run back", async () => {
  await using yard = new Yard();
  yard.script("build", `trap "" TERM; echo $$ > ${yard.path("pid")}; ${waiting(yard)}`);
  yard.store.add({});
  const worker = yard.start({ grace: 50 });
  await until("it runs", () => yard.read("pid") !== "");
  worker.stop();
  await worker.done;
  expect(isAlive(Number(yard.read("pid")))).toBe(false);
  expect(yard.store.results).toMatchObject([{ state: "queued", reason: "worker stopped" }]);
});

test("two workers never share a work folder", async () => {
  await using yard = new Yard();
  const first = yard.start();
  await until("the first asks for work", () => yard.store.asks.length > 0);
  const second = yard.start({ once: true });
  await expect(second.done).rejects.toMatchObject({ kind: "later", hint: expect.stringContaining("work_dir") });
  first.drain();
  await first.done;
  expect(await yard.start({ once: true }).done).toBe("nothing");
});

test("asks under a name of its work folder, the same after every start and another in another folder", async () => {
  await using yard = new Yard();
  const elsewhere = { ...yard.node, work_dir: yard.path("elsewhere") };
  for (const node of [yard.node, yard.node, elsewhere]) await yard.start({ node, once: true }).done;
  const [first, again, other] = yard.store.asks.map(({ token }) => token.replace(/\.[^.]+$/, ""));
  expect(first).toMatch(/^[0-9a-f]{16}$/);
  expect(again).toBe(first);
  expect(other).not.toBe(first);
});

test("a work folder that cannot be made is refused by its place in the configuration", async () => {
  await using yard = new Yard();
  writeFileSync(yard.node.work_dir, "");
  await expect(yard.start({ once: true }).done).rejects.toMatchObject({
    kind: "config",
    message: expect.stringContaining(`node.work_dir ${JSON.stringify(yard.node.work_dir)} cannot be used (EEXIST`),
  });
});

test("takes over the lock of a worker that died, and of a pid that is another's by now", async () => {
  await using yard = new Yard();
  mkdirSync(yard.node.work_dir);
  writeFileSync(join(yard.node.work_dir, "worker.lock"), JSON.stringify({ pid: process.pid, started: "long ago" }));
  expect(await yard.start({ once: true }).done).toBe("nothing");
  writeFileSync(join(yard.node.work_dir, "worker.lock"), "");
  expect(await yard.start({ once: true }).done).toBe("nothing");
});

test.each([
  ["back", -3_600_000],
  ["forth", 3_600_000],
])("a wall clock that is set %s during a script does not change how long it took", async (_way, by) => {
  await using yard = new Yard();
  let off = 0;
  yard.script("build", `: > ${yard.path("begun")}; until [ -e ${yard.path("set")} ]; do sleep 0.02; done`);
  yard.store.add({ script: "build" });
  const worker = yard.start({ once: true, clock: { ...realClock, now: () => Date.now() + off } });
  const before = performance.now();
  await until("it runs", () => existsSync(yard.path("begun")));
  off = by;
  writeFileSync(yard.path("set"), "");
  await worker.done;
  const { started_at = 0, finished_at = 0 } = yard.store.results[0] ?? {};
  expect(finished_at - started_at).toBeGreaterThan(0);
  expect(finished_at - started_at).toBeLessThan(performance.now() - before + 1);
});

test("a worker that was killed leaves no script behind once another starts in its place", async () => {
  await using yard = new Yard();
  yard.script("build", `sleep 600 & echo $! > ${yard.path("child")}; echo $$ > ${yard.path("pid")}; wait`);
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "lone-worker.ts"), JSON.stringify(yard.node)], {
    stdout: "ignore",
    stderr: "ignore",
    stdin: "ignore",
  });
  await until("the script runs", () => yard.read("pid").endsWith("\n"));
  const [pid, grandchild] = [Number(yard.read("pid")), Number(yard.read("child"))];
  child.kill("SIGKILL");
  await child.exited;
  expect([isAlive(pid), isAlive(grandchild)]).toEqual([true, true]);
  const notes = readdirSync(join(yard.node.work_dir, "orphans"));
  expect(JSON.parse(readFileSync(join(yard.node.work_dir, "orphans", notes[0] ?? ""), "utf8"))).toMatchObject({
    pid,
    attempt: 1,
  });

  expect(await yard.start({ once: true }).done).toBe("nothing");
  expect([isAlive(pid), isAlive(grandchild)]).toEqual([false, false]);
  expect(readdirSync(yard.node.work_dir).toSorted()).toEqual(["orphans", "place"]);
  expect(readdirSync(join(yard.node.work_dir, "orphans"))).toEqual([]);
});

test("a group whose leader is gone is known by its environment", async () => {
  await using yard = new Yard();
  yard.script("build", `sleep 600 & echo $! > ${yard.path("child")}; echo $$ > ${yard.path("pid")}; wait`);
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "lone-worker.ts"), JSON.stringify(yard.node)], {
    stdout: "ignore",
    stderr: "ignore",
    stdin: "ignore",
  });
  await until("the script runs", () => yard.read("pid").endsWith("\n"));
  child.kill("SIGKILL");
  await child.exited;
  process.kill(Number(yard.read("pid")), "SIGKILL");
  await until("the leader is gone", () => !isAlive(Number(yard.read("pid"))));
  await yard.start({ once: true }).done;
  expect(isAlive(Number(yard.read("child")))).toBe(false);
});

test("a stranger that has an orphan's pid by now is left alone", async () => {
  await using yard = new Yard();
  const stranger = Bun.spawn(["sleep", "600"], { detached: true, stdio: ["ignore", "ignore", "ignore"] });
  const orphans = join(yard.node.work_dir, "orphans");
  mkdirSync(orphans, { recursive: true });
  const note = { pid: stranger.pid, started: "another boot 4711", run: "r", attempt: 1 };
  writeFileSync(join(orphans, "r-1.json"), JSON.stringify(note));
  writeFileSync(join(orphans, "r-2.json"), JSON.stringify({ ...note, pid: -1 }));
  writeFileSync(join(orphans, "r-3.json"), "{");
  await yard.start({ once: true }).done;
  expect(isAlive(stranger.pid)).toBe(true);
  stranger.kill("SIGKILL");
  expect(readdirSync(orphans)).toEqual([]);
});
