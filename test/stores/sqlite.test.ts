import { afterEach, describe, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqlite, type SqliteOptions } from "../../src/stores/sqlite.ts";
import { openFile } from "../../src/stores/sqlite/file.ts";
import { openWriter } from "../../src/stores/sqlite/writer.ts";
import type { Store } from "../../src/stores/store.ts";
import { conformance } from "./conformance.ts";
import { aging } from "./conformance/fairness.ts";
import {
  askOf,
  day,
  delivery,
  expandAll,
  heldOf,
  intent,
  laneOf,
  leased,
  minute,
  queue,
  resultOf,
  rulesOf,
  seen,
  stateOf,
  taskOf,
} from "./conformance/given.ts";

const folders: string[] = [];
const open: Store[] = [];
const children: Bun.Subprocess[] = [];

const newFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "meshmac-sqlite-"));
  folders.push(folder);
  return folder;
};

async function openIn(folder: string, more: Partial<SqliteOptions> = {}): Promise<Store> {
  const store = await openSqlite({ path: join(folder, "meshmac.db"), state_dir: folder, ...more });
  open.push(store);
  return store;
}

/** Starts a process that owns the store of `folder`, and answers once it does; its lines come as they are printed. */
async function startOwner(folder: string, what: "idle" | "write") {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "sqlite/owner.ts"), folder, what], {
    stdout: "pipe",
    stderr: "inherit",
  });
  children.push(child);
  const lines = linesOf(child.stdout);
  expect((await lines.next()).value).toBe("open");
  return { child, lines };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}

afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  for (const store of open.splice(0)) await store.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

conformance("sqlite", async () => {
  const folder = mkdtempSync(join(tmpdir(), "meshmac-sqlite-"));
  const store = await openSqlite({ path: join(folder, "state", "meshmac.db"), state_dir: join(folder, "state") });
  return {
    store,
    async close() {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
});

aging("sqlite", async () => {
  const time = { now: 1_800_000_000_000 };
  const store = await openIn(newFolder(), { now: () => time.now });
  return { store, pass: async (ms) => void (time.now += ms), close: () => store.close() };
});

describe("the file", () => {
  test("is made for its owner alone, and so are the logs", async () => {
    const folder = join(newFolder(), "deep", "state");
    const store = await openIn(folder);
    await queue(store);
    const held = heldOf(await leased(store));
    await store.log({ ...held, node: "mac-07", offset: 0, bytes: new Uint8Array([10]) });
    const mode = (path: string) => statSync(join(folder, path)).mode & 0o777;
    expect(mode(".")).toBe(0o700);
    for (const file of ["meshmac.db", "meshmac.db-wal", "meshmac.db-shm", "meshmac.db.lock", "meshmac.db.pid"]) {
      expect([file, mode(file)]).toEqual([file, 0o600]);
    }
    expect([mode("logs"), mode(`logs/${held.run_id}`)]).toEqual([0o700, 0o700]);
    expect(mode(`logs/${held.run_id}/1.log`)).toBe(0o600);
  });

  test.each([
    ["journal_mode", "wal"],
    ["synchronous", 2],
    ["busy_timeout", 5000],
    ["foreign_keys", 1],
    ["trusted_schema", 0],
    ["cache_size", -32_768],
    ["fullfsync", 1],
    ["checkpoint_fullfsync", 1],
  ])("is opened with %s = %p", (name, value) => {
    const db = openFile(join(newFolder(), "meshmac.db"));
    expect(db.query<Record<string, unknown>, []>(`PRAGMA ${name}`).values()).toEqual([[value]]);
    db.close();
  });

  test.each(["99 0f0f0f0f", "1", "1 00000000"])(
    "of another meshmac (schema %s) is refused, with what to do",
    async (schema) => {
      const folder = newFolder();
      await (await openIn(folder)).close();
      const db = new Database(join(folder, "meshmac.db"));
      db.run("UPDATE setting SET value = ? WHERE name = 'schema'", [schema]);
      db.close();
      await expect(openIn(folder)).rejects.toMatchObject({
        kind: "config",
        status: 78,
        message: expect.stringContaining(`the store has schema ${schema}, this meshmac knows 1 `),
        hint: expect.stringContaining("begin anew"),
      });
    },
  );

  test("that is no store, or damaged, is refused", async () => {
    const folder = newFolder();
    writeFileSync(join(folder, "meshmac.db"), "this is a letter to my aunt, not a database ".repeat(40));
    await expect(openIn(folder)).rejects.toMatchObject({
      kind: "unavailable",
      message: expect.stringContaining("damaged"),
    });
  });

  test("that cannot be written is refused", async () => {
    const folder = newFolder();
    writeFileSync(join(folder, "file"), "");
    await expect(openIn(join(folder, "file"))).rejects.toMatchObject({ kind: "permission", status: 77 });
  });

  test("keeps rules, pauses, runs and marks over a restart", async () => {
    const folder = newFolder();
    const first = await openIn(folder);
    await first.publish(rulesOf({ lanes: { ios: laneOf({ needs: ["xcode-16"] }), mac: laneOf() } }));
    await first.pause("mac", "moving house");
    const task = taskOf();
    await first.accept({ task, marks: [delivery(), intent()], seen_at: 0 });
    await queue(first, { lane: "mac" });
    await first.close();

    const second = await openIn(folder);
    expect(await second.lease(askOf())).toBeNull();
    expect(await second.accept({ task: taskOf(), marks: [intent()], seen_at: 1000 })).toEqual({
      status: "duplicate",
      run_id: task.run_id,
    });
    expect((await leased(second, askOf({ labels: ["xcode-16"] }))).task).toEqual(task);
  });
});

describe("the owner", () => {
  test("is one: a second is refused at once, and told whose the file is", async () => {
    const folder = newFolder();
    await openIn(folder);
    const refused = { kind: "later", status: 75, hint: expect.stringContaining(`process ${process.pid} `) };
    await expect(openIn(folder)).rejects.toMatchObject(refused);
    await expect(openIn(folder, { role: "visitor" })).rejects.toMatchObject(refused);
  });

  test("is one among processes, and kill -9 frees the file", async () => {
    const folder = newFolder();
    const { child } = await startOwner(folder, "idle");
    await expect(openIn(folder)).rejects.toMatchObject({
      kind: "later",
      hint: expect.stringContaining(`process ${child.pid} `),
    });
    child.kill("SIGKILL");
    await child.exited;
    const store = await openIn(folder);
    expect((await queue(store)).run_id).not.toBe("");
  });

  test("waits for a visitor, and so does the next visitor", async () => {
    const folder = newFolder();
    const visitor = await openIn(folder, { role: "visitor" });
    const task = await queue(visitor);
    const next = openIn(folder, { role: "visitor" });
    await visitor.close();
    const second = await next;
    const owner = openIn(folder);
    expect(await stateOf(second, task.run_id)).toBe("queued");
    await second.close();
    expect(await stateOf(await owner, task.run_id)).toBe("queued");
  });

  test("leaves the file free when it closes, once or twice", async () => {
    const folder = newFolder();
    const store = await openIn(folder);
    const waiting = store.lease(askOf(), { ms: 60_000 });
    await store.close();
    await store.close();
    await expect(waiting).rejects.toMatchObject({ kind: "unavailable" });
    await expect(store.list({ limit: 1 })).rejects.toMatchObject({ kind: "unavailable" });
    await expect(store.check()).rejects.toMatchObject({ kind: "unavailable" });
    expect(existsSync(join(folder, "meshmac.db.pid"))).toBe(false);
    await openIn(folder);
  });
});

describe("a commit", () => {
  test("that was answered survives kill -9 in the middle of a load", async () => {
    const folder = newFolder();
    const { child, lines } = await startOwner(folder, "write");
    const promised: string[] = [];
    for await (const line of lines) {
      promised.push(line);
      if (promised.length === 500) child.kill("SIGKILL");
    }
    await child.exited;
    expect(promised.length).toBeGreaterThanOrEqual(500);

    const store = await openIn(folder);
    for (const run_id of promised) expect(await stateOf(store, run_id)).toBe("queued");
    await store.close();
    const db = new Database(join(folder, "meshmac.db"), { readonly: true });
    expect(db.query("PRAGMA integrity_check").values()).toEqual([["ok"]]);
    // Nothing stands alone: a run has its event, a mark its run.
    expect(db.query("SELECT count(*) FROM run WHERE run_id NOT IN (SELECT subject FROM event)").values()).toEqual([
      [0],
    ]);
    expect(db.query("SELECT count(*) FROM mark WHERE run_id NOT IN (SELECT run_id FROM run)").values()).toEqual([[0]]);
    db.close();
  }, 20_000);

  test("holds many steps; one that fails takes no other with it", async () => {
    const db = openFile(join(newFolder(), "meshmac.db"));
    const { commit } = openWriter(db);
    const set = (name: string) => commit(() => db.run("INSERT INTO setting (name, value) VALUES (?, '')", [name]));
    const fails = commit(() => {
      db.run("INSERT INTO setting (name, value) VALUES ('half', '')");
      throw new TypeError("broken step");
    });
    const settled = await Promise.allSettled([set("one"), fails, set("one"), set("two")]);
    expect(settled).toMatchObject([
      { status: "fulfilled" },
      { status: "rejected", reason: { message: "broken step" } },
      { status: "rejected", reason: { kind: "data" } },
      { status: "fulfilled" },
    ]);
    const names = db.query("SELECT name FROM setting WHERE name <> 'schema' ORDER BY name").values();
    expect(names).toEqual([["one"], ["two"]]);
    db.close();
  });

  test("that the disk cannot take refuses every step and leaves nothing; the next one works", async () => {
    const db = openFile(join(newFolder(), "meshmac.db"));
    const { commit } = openWriter(db);
    const [[pages] = []] = db.query<never, []>("PRAGMA page_count").values();
    db.run(`PRAGMA max_page_count = ${Number(pages) + 4}`);
    const set = (name: string, size: number) =>
      commit(() => db.run("INSERT INTO setting (name, value) VALUES (?, ?)", [name, "x".repeat(size)]));
    const settled = await Promise.allSettled([set("small", 1), set("huge", 1_000_000), set("after", 1)]);
    for (const one of settled) expect(one).toMatchObject({ status: "rejected", reason: { kind: "unavailable" } });
    expect(db.query("SELECT count(*) FROM setting WHERE name <> 'schema'").values()).toEqual([[0]]);
    await set("small", 1);
    db.close();
  });
});

function clock() {
  const time = { now: 1_800_000_000_000 };
  return { time, now: () => time.now };
}

describe("time", () => {
  test("ends a lease after its ttl, and a renewal counts from the renewal", async () => {
    const { time, now } = clock();
    const store = await openIn(newFolder(), { now });
    await queue(store);
    const held = heldOf(await leased(store));
    time.now += 80_000;
    expect((await store.renew("mac-07", [held])).words).toEqual(["ok"]);
    time.now += 89_999;
    expect(await store.reap()).toBe(0);
    time.now += 1;
    expect(await store.reap()).toBe(1);
  });

  test("lets every lease last one ttl when the file gets a new owner, whoever asks for work first", async () => {
    const { time, now } = clock();
    const folder = newFolder();
    const before = await openIn(folder, { now });
    await before.publish(rulesOf());
    await queue(before);
    const held = heldOf(await leased(before));
    await before.close();
    time.now += 10 * minute;
    const after = await openIn(folder, { now });
    expect([await after.lease(askOf({ node: "mac-08" })), await after.reap()]).toEqual([null, 0]);
    expect((await after.renew("mac-07", [held])).words).toEqual(["ok"]);
    expect(await after.finish(resultOf(held))).toBe("ok");
    await queue(after);
    const lost = heldOf(await leased(after));
    await after.close();
    const visitor = await openIn(folder, { now, role: "visitor" });
    await visitor.close();
    time.now += 10 * minute;
    const last = await openIn(folder, { now });
    time.now += 90_000;
    expect(await last.reap()).toBe(1);
    expect((await leased(last, askOf({ node: "mac-08" }))).attempt).toBe(lost.attempt + 1);
  });

  test("counts a minute of waiting as one step of priority", async () => {
    const { time, now } = clock();
    const store = await openIn(newFolder(), { now });
    await store.publish(rulesOf({ lanes: { slow: laneOf(), urgent: laneOf({ priority: 10 }) } }));
    await queue(store, { lane: "slow" });
    time.now += 9 * minute;
    await queue(store, { lane: "urgent" });
    const first = await leased(store, askOf({ node: "a" }));
    expect(first.task.lane).toBe("urgent");
    await store.finish(resultOf(heldOf(first), "succeeded", { mesh_node_id: "a" }));
    time.now += 2 * minute;
    await queue(store, { lane: "urgent" });
    expect((await leased(store, askOf({ node: "a" }))).task.lane).toBe("slow");
  });

  test("sweeps what is older than it is to be kept, and marks after their window and a day", async () => {
    const { time, now } = clock();
    const folder = newFolder();
    const store = await openIn(folder, { now });
    await store.publish(rulesOf());
    const task = taskOf();
    await store.accept({ task, marks: [delivery(), intent()], seen_at: now() });
    await store.finish(resultOf(heldOf(await leased(store))));
    const untold = await queue(store);
    await store.cancel(untold.run_id, "not needed");
    for (const event of await store.events(10))
      if (event.subject === task.run_id) await store.expand([{ event, posts: [] }]);
    const marks = async () => {
      const db = new Database(join(folder, "meshmac.db"), { readonly: true });
      const [[n] = []] = db.query<never, []>("SELECT count(*) FROM mark").values();
      db.close();
      return n;
    };
    time.now += 9 * day - 1;
    expect([await store.sweep(), await marks()]).toEqual([0, 1]);
    time.now += 1;
    expect([await store.sweep(), await marks()]).toEqual([0, 0]);
    time.now += 21 * day;
    expect(await store.sweep()).toBe(1);
    expect(await store.show(task.run_id)).toBeNull();
    // Nobody has told of it yet, so it stays.
    expect(await stateOf(store, untold.run_id)).toBe("cancelled");
    await expandAll(store);
    expect(await store.sweep()).toBe(1);
  });

  test("sweeps more than one step's worth", async () => {
    const { time, now } = clock();
    const store = await openIn(newFolder(), { now });
    const tasks = await Promise.all(Array.from({ length: 450 }, () => queue(store)));
    await Promise.all(tasks.map(({ run_id }) => store.cancel(run_id, "not needed")));
    for (const event of await store.events(1000)) await store.expand([{ event, posts: [] }]);
    const kept = await queue(store);
    time.now += 30 * day;
    expect(await store.sweep()).toBe(450);
    expect((await seen(store, kept.run_id)).run.state).toBe("queued");
  });
});
