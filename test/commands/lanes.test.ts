import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { masksOf } from "../../src/gateway/masked-store.ts";
import { openSocket } from "../../src/gateway/socket.ts";
import { openRedis } from "../../src/stores/redis.ts";
import { openSqlite } from "../../src/stores/sqlite.ts";
import type { LockRow, Store } from "../../src/stores/store.ts";
import { Folder } from "../config/folder.ts";
import { type Clock, realClock } from "../../src/worker/clock.ts";
import { type HoldHouse, runHolding } from "../../src/worker/hold.ts";
import { type RedisServer, startRedis } from "../fakes/redis-server.ts";
import { askOf, heldOf, laneOf, leased, leaseOf, queue, resultOf, rulesOf, seen } from "../stores/conformance/given.ts";

const main = join(import.meta.dir, "../../commands/main.ts");

let redis: RedisServer;
let store: Store;
let house: Folder;

const usualRules = rulesOf({
  lanes: {
    ios: laneOf({ priority: 5, needs: ["xcode-16"], locks: ["signing"], limit: 4, max_depth: 1 }),
    docs: laneOf(),
  },
  locks: { signing: 1, simulator: 2 },
});

beforeAll(async () => {
  redis = await startRedis();
  store = await openRedis({ url: redis.url, pool: "acme" });
  await store.publish(usualRules);
  house = new Folder();
  house.write(
    "meshmac.config.json",
    JSON.stringify({
      pool: "acme",
      store: `redis://127.0.0.1:${redis.port}/0`,
      lease: { ttl: "3s", heartbeat: "500ms", fence: "1s" },
      node: { id: "mac-07" },
    }),
  );
  house.write(
    "alone.json",
    JSON.stringify({ store: "sqlite:./alone/meshmac.db", lease: { ttl: "30s", heartbeat: "100ms", fence: "20s" } }),
  );
});

afterAll(async () => {
  await store.close();
  await redis.stop();
  house[Symbol.dispose]();
});

const started: Bun.Subprocess[] = [];
afterEach(async () => {
  for (const child of started.splice(0)) {
    child.kill("SIGTERM");
    await child.exited;
  }
});

function start(...words: string[]) {
  const child = Bun.spawn([process.execPath, main, ...words], {
    cwd: house.path,
    env: { PATH: process.env.PATH ?? "", HOME: house.path, USER: "builder" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  started.push(child);
  return child;
}

async function said(...words: string[]) {
  const child = start(...words);
  const [code, out, err] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  return { code, out, err };
}

/** Asks until there is an answer; the test's own deadline bounds it. */
async function eventually<T>(ask: () => Promise<T | false> | T | false): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (answer !== false) return answer;
    await Bun.sleep(20);
  }
}

const signing = async (): Promise<LockRow["held"]> =>
  (await store.lanes()).locks.find(({ lock }) => lock === "signing")?.held ?? [];
const isHeld = () => eventually(async () => (await signing()).length === 1);
const isFree = () => eventually(async () => (await signing()).length === 0);
const isGone = (pid: number) =>
  eventually(() => {
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  });
const fileWith = (name: string) =>
  eventually(() => existsSync(join(house.path, name)) && readFileSync(join(house.path, name), "utf8").trim());

describe("lanes", () => {
  test("are listed with what keeps them waiting", async () => {
    const tasks = [await queue(store), await queue(store)];
    const { code, out } = await said("lanes", "list");
    expect(code).toBe(0);
    expect(out).toContain("lane ios is too deep: 2 waiting, max_depth is 1");
    expect(out).toMatch(/ios +5 +xcode-16 +2 for [\d.]+ m?s +0 of 4 +signing/);
    expect(JSON.parse((await said("lanes", "list", "--json")).out)).toMatchObject({
      lanes: [{ lane: "docs" }, { lane: "ios", depth: 2, max_depth: 1, limit: 4, locks: ["signing"] }],
      locks: [
        { lock: "signing", capacity: 1, held: [] },
        { lock: "simulator", capacity: 2, held: [] },
      ],
    });
    for (const { run_id } of tasks) await store.cancel(run_id, "not needed");
  });

  test("are paused with a reason that others read, and go on", async () => {
    expect(await said("lanes", "pause", "docs", "--why", "moving\u001b[2J house")).toMatchObject({
      code: 0,
      out: "paused docs\n",
    });
    expect((await said("lanes", "list")).out).toContain("lane docs is paused: moving house (0 waiting)");
    await queue(store, { lane: "docs" });
    expect(await store.lease(askOf())).toBeNull();
    expect(await said("lanes", "resume", "docs")).toMatchObject({ code: 0, out: "docs goes on\n" });
    await store.finish(resultOf(heldOf(await leased(store))));
  });

  test.each([
    [["pause", "dosc", "--why", "x"], 65, "did you mean docs?"],
    [["resume", "nowhere"], 65, 'no lane "nowhere"'],
    [["pause", "docs"], 64, "--why is missing"],
    [["pause", "docs", "--why", " "], 64, "--why expects a reason"],
    [["hold", "signign", "--for", "1m", "--", "true"], 65, "did you mean signing?"],
    [["hold", "signing", "--", "true"], 64, "--for is missing"],
    [["hold", "signing", "--for", "1m"], 64, "COMMAND is missing\nhint: write it after --"],
    [["hold", "signing", "--for", "1m", "--"], 64, "COMMAND is missing"],
    [["hold", "signing", "make", "--for", "1m", "--", "true"], 64, 'unexpected argument "make"'],
    [["hold", "--for", "1m", "--", "signing", "true"], 64, "LOCK is missing"],
    [["hold", "signing", "--for", "0s", "--", "true"], 64, "--for expects more than nothing"],
    [["hold", "signing", "--for", "soon", "--", "true"], 64, "--for: expected a duration like"],
    [["hold", "signing", "--for", "1m", "--wiat", "1m", "--", "true"], 64, "did you mean --wait?"],
    [["hold", "signing", "--for", "1m", "--", "no-such-program"], 64, 'no such program: "no-such-program"'],
    [["hold", "signing", "--for", "1m", "--", "/nowhere/make"], 64, 'no such program: "/nowhere/make"'],
    [["hold", "signing", "--for", "1m", "--", "./meshmac.config.json"], 64, 'cannot start "./meshmac.config.json"'],
  ] as const)("refuses %j with %d", async (words, status, why) => {
    const { code, out, err } = await said("lanes", ...words);
    expect([code, out], err).toEqual([status, ""]);
    expect(err).toContain(why);
    await isFree();
  });
});

describe("a held lock", () => {
  test("is held while the command runs, with the command's own flags and streams, and its status is passed on", async () => {
    const script = `echo "$@"; echo err >&2; exit 7`;
    expect(
      await said("lanes", "hold", "signing", "--for", "1m", "--", "sh", "-c", script, "sh", "--help", "--", "-x"),
    ).toEqual({
      code: 7,
      out: "--help -- -x\n",
      err: "err\n",
    });
    expect(await signing()).toEqual([]);
  });

  test("keeps runs out while it is held and longer than its ttl, and lets them in at its end", async () => {
    const task = await queue(store);
    const child = start("lanes", "hold", "signing", "--for", "1m", "--", "sleep", "600");
    await isHeld();
    const [first] = await signing();
    expect(first).toMatchObject({ node: "mac-07" });
    await eventually(() => Date.now() > (first?.since ?? 0) + 3500);
    expect(await store.lease(askOf({ labels: ["xcode-16"] }))).toBeNull();
    expect(await signing()).toEqual(first ? [first] : []);
    const waiting = store.lease(askOf({ labels: ["xcode-16"] }), { ms: 60_000 });
    child.kill("SIGTERM");
    expect(await child.exited).toBe(143);
    const lease = await waiting;
    expect(lease?.task.run_id).toBe(task.run_id);
    expect((await seen(store, task.run_id)).lock_wait_ms).toBeGreaterThan(0);
    const busy = await said("lanes", "hold", "signing", "--for", "1m", "--", "true");
    expect(busy.code).toBe(75);
    expect(busy.err).toContain(`not free: held by ${task.run_id.slice(-12)} on mac-07`);
    const patient = start("lanes", "hold", "signing", "--for", "1m", "--wait", "1m", "--", "true");
    if (lease) await store.finish(resultOf(heldOf(lease)));
    expect(await patient.exited).toBe(0);
  }, 30_000);

  test("passes signals on to the command, which may end in its own way", async () => {
    const script = `trap 'echo told; exit 5' TERM; : > ready; while :; do sleep 0.05; done`;
    const child = start("lanes", "hold", "signing", "--for", "1m", "--", "sh", "-c", script);
    await fileWith("ready").catch(() => "");
    child.kill("SIGTERM");
    expect([await child.exited, await child.stdout.text()]).toEqual([5, "told\n"]);
    expect(await signing()).toEqual([]);
  });

  test("gives up waiting at a signal, and wants the lock no more", async () => {
    const first = start("lanes", "hold", "signing", "--for", "1m", "--", "sleep", "60");
    await isHeld();
    const second = start("lanes", "hold", "signing", "--for", "1m", "--wait", "1m", "--", "true");
    await Bun.sleep(0);
    second.kill("SIGTERM");
    expect(await second.exited).toBe(143);
    first.kill("SIGTERM");
    expect(await first.exited).toBe(143);
  });

  test("is given back when --for is over, and the whole group of the command is gone", async () => {
    const script = "sleep 600 & echo $! > long.pid; sleep 600 & wait";
    const child = start("lanes", "hold", "signing", "--for", "500ms", "--", "sh", "-c", script);
    const pid = Number(await fileWith("long.pid"));
    expect(await child.exited).toBe(75);
    expect(await child.stderr.text()).toContain('its 500 ms with lock "signing" were over');
    await isGone(pid);
    expect(await signing()).toEqual([]);
  }, 30_000);

  test("is given back when --for is over although the command does not listen", async () => {
    // Twenty seconds pass here in one: whoever does not end at a TERM is given ten.
    const pace = 20;
    const numbers = { for_ms: 5000, wait_ms: 0, ttl_ms: 600_000, heartbeat_ms: 1000, fence_ms: 300_000 };
    const clock: Clock = {
      now: () => Date.now() * pace,
      monotonic: () => performance.now() * pace,
      // Its time is over as soon as it is deaf.
      sleep: (ms, signal) =>
        ms === numbers.for_ms ? fileWith("deaf.pid").then(() => {}) : realClock.sleep(ms / pace, signal),
    };
    const ground: HoldHouse = {
      clock,
      lend: (use) => use(store),
      hearSignals: () => () => {},
      whoHolds: async () => "nobody",
    };
    const pidFile = join(house.path, "deaf.pid");
    const script = `trap '' TERM; echo $$ > ${pidFile}; while :; do sleep 0.05; done`;
    const held = runHolding(ground, { lock: "signing", node: "mac-07", ...numbers }, ["sh", "-c", script]);
    await expect(held).rejects.toMatchObject({ kind: "later", message: expect.stringContaining("its 5.0 s") });
    await isGone(Number(await fileWith("deaf.pid")));
    expect(await signing()).toEqual([]);
  }, 30_000);

  test("is held over the owner's socket too, and stays held while the owner starts anew", async () => {
    const state_dir = join(house.path, "alone");
    const open = () => openSqlite({ path: join(state_dir, "meshmac.db"), state_dir });
    const sqlite = await open();
    await sqlite.publish(rulesOf({ locks: { signing: 1 } }));
    const socket = await openSocket({ config: { state_dir }, store: sqlite, masks: masksOf({ values: () => [] }) });
    const child = start("lanes", "hold", "signing", "--for", "1m", "--config", "alone.json", "--", "sleep", "600");
    const held = await eventually(async () => (await sqlite.lanes()).locks[0]?.held[0] ?? false);
    await socket.stop();
    await sqlite.close();
    // The holder opens the file for a moment only, now and then.
    const again = await eventually(() => open().catch(() => false as const));
    expect((await again.lanes()).locks[0]?.held).toEqual([held]);
    await again.close();
    child.kill("SIGTERM");
    expect(await child.exited).toBe(143);
    const after = await eventually(() => open().catch(() => false as const));
    expect((await after.lanes()).locks[0]?.held).toEqual([]);
    await after.close();
  }, 30_000);

  test("leaves nothing of the command behind when it is given back", async () => {
    const { code } = await said(
      "lanes",
      "hold",
      "signing",
      "--for",
      "1m",
      "--",
      "sh",
      "-c",
      "sleep 600 & echo $! > left.pid",
    );
    expect(code).toBe(0);
    await isGone(Number(await fileWith("left.pid")));
  });

  test("is gone by itself when its holder is killed, and so is the command", async () => {
    const child = start(
      "lanes",
      "hold",
      "signing",
      "--for",
      "1m",
      "--",
      "sh",
      "-c",
      "echo $$ > killed.pid; sleep 600; true",
    );
    const pid = Number(await fileWith("killed.pid"));
    child.kill("SIGKILL");
    await child.exited;
    await isGone(pid);
    await isFree();
  }, 30_000);

  test("ends the command before somebody else may have the lock when the store is out of reach", async () => {
    const child = start(
      "lanes",
      "hold",
      "signing",
      "--for",
      "1m",
      "--",
      "sh",
      "-c",
      "echo $$ > cut.pid; sleep 600; true",
    );
    const pid = Number(await fileWith("cut.pid"));
    redis.pause();
    try {
      await isGone(pid);
    } finally {
      redis.resume();
    }
    // Frozen with the clock running: had the holder not ended it, the lock would be free with the command alive.
    expect(await child.exited).toBe(69);
    expect(await child.stderr.text()).toContain('lock "signing" could not be kept');
    await isFree();
  }, 30_000);
});

/** Lets so many runs die; answers them, oldest first. */
async function kill(count: number): Promise<string[]> {
  await store.publish(rulesOf({ lanes: { ios: laneOf({ max_lost: 1 }) }, lease: leaseOf(0) }));
  const runs: string[] = [];
  for (let i = 0; i < count; i++) runs.push((await queue(store, { issue_key: `MOB-${i}` })).run_id);
  for (let i = 0; i < count; i++) await leased(store);
  await store.reap();
  await store.publish(usualRules);
  return runs;
}

describe("dead runs", () => {
  test("are listed, dropped and retried, one or all", async () => {
    const [one = "", two = "", three = ""] = await kill(3);
    const listed = async () =>
      JSON.parse((await said("runs", "dead", "list", "--json")).out).runs.map((run: { run_id: string }) => run.run_id);
    expect((await said("runs", "dead", "list")).out).toContain("lost 1 time");
    expect(await listed()).toEqual([three, two, one]);
    expect(await said("runs", "dead", "drop", one.slice(-12))).toMatchObject({ code: 0, out: `dropped ${one}\n` });
    const { out } = await said("runs", "dead", "retry", two.slice(-12), "--json");
    const again = JSON.parse(out).runs[0];
    expect(again).toMatchObject({ retry_of: two });
    expect((await seen(store, again.run_id)).run).toMatchObject({ state: "queued", retry_of: two });
    expect(await listed()).toEqual([three]);
    expect((await said("runs", "dead", "retry", "--all")).out).toContain(`for ${three}`);
    expect(await listed()).toEqual([]);
    expect((await said("runs", "dead", "drop", "--all")).out).toBe("no dead runs\n");
    expect((await said("runs", "list", "--state", "dead")).out).toContain(one.slice(-12));
    expect(await said("runs", "dead", "drop", again.run_id)).toMatchObject({ code: 65 });
    expect(await said("runs", "dead", "retry")).toMatchObject({ code: 64 });
    expect(await said("runs", "dead", "retry", two, "--all")).toMatchObject({ code: 64 });
  }, 30_000);

  test("runs are listed by node and age, and a cursor that nobody gave is refused", async () => {
    expect((await said("runs", "list", "--node", "nobody")).out).toBe("no runs\n");
    expect((await said("runs", "list", "--node", "mac-07", "--since", "1h")).code).toBe(0);
    expect(await said("runs", "list", "--since", "yesterday")).toMatchObject({ code: 64 });
    expect(await said("runs", "list", "--cursor", "zz")).toMatchObject({ code: 65 });
  });
});
