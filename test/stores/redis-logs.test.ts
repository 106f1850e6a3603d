import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { Redis } from "ioredis";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { openRedis, type RedisStore } from "../../src/stores/redis.ts";
import { Link } from "../../src/stores/redis/link.ts";
import type { Held, LogChunk } from "../../src/stores/store.ts";
import { canMount, onSmallDisk } from "../fakes/small-disk.ts";
import { type RedisServer, startRedis } from "../fakes/redis-server.ts";
import { askOf, day, heldOf, leased, queue, resultOf, rulesOf } from "./conformance/given.ts";

// Real processes on a busy machine.
setDefaultTimeout(60_000);

const opened: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

const window = 4 * 1024 * 1024;

async function server(): Promise<RedisServer> {
  const started = await startRedis();
  opened.push(() => started.stop());
  return started;
}

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), "meshmac-drain-"));
  opened.push(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function gateway(
  { url }: RedisServer,
  state_dir: string | undefined,
  takeOverAfter = 60_000,
): Promise<RedisStore> {
  const store = await openRedis({ url, pool: "acme", takeOverAfter, ...(state_dir !== undefined && { state_dir }) });
  opened.push(() => store.close());
  return store;
}

async function running(store: RedisStore): Promise<Held> {
  await queue(store);
  return heldOf(await leased(store));
}

const chunk = (held: Held, offset: number, bytes: Uint8Array): LogChunk => ({ ...held, node: "mac-07", offset, bytes });

/** Bytes of which every place can be told from every other. */
const noise = (length: number): Uint8Array => {
  const bytes = new Uint8Array(length);
  let state = 1;
  for (let i = 0; i < length; i++) bytes[i] = (state = (state * 48_271) % 2_147_483_647) & 255;
  return bytes;
};

/** Sends it all as a node does: from where the store says. */
async function ship(store: RedisStore, held: Held, all: Uint8Array, size = 200_000, from = 0): Promise<void> {
  for (let at = from; at < all.length;) {
    const next = await store.log(chunk(held, at, all.subarray(at, at + size))).catch(() => at);
    if (next === "stale") throw new Error("stale");
    if (next === at) await Bun.sleep(5);
    at = next;
  }
}

async function whole(store: RedisStore, { run_id, attempt }: Held, page = 700_001): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for (let at = 0; ;) {
    const { bytes, next, size } = await store.readLog(run_id, attempt, at, page);
    expect(next).toBe(at + bytes.length);
    pieces.push(bytes);
    at = next;
    if (at >= size) return Buffer.concat(pieces);
    if (bytes.length === 0) throw new Error(`nothing at ${at} of ${size}`);
  }
}

const same = (one: Uint8Array, other: Uint8Array) => expect(Buffer.compare(one, other)).toBe(0);

async function drainAll(store: RedisStore, name = "gateway-1"): Promise<number> {
  let pieces = 0;
  while (await store.drain(name)) pieces++;
  return pieces;
}

test("holds 4 MiB of a log while nobody drains it, and asks for the rest again", async () => {
  const store = await gateway(await server(), undefined);
  const held = await running(store);
  const all = noise(window + 500_000);
  await ship(store, held, all.subarray(0, window));
  expect(await store.log(chunk(held, window, all.subarray(window)))).toBe(window);
  expect(await store.log(chunk(held, window - 10, all.subarray(window - 10)))).toBe(window);
  same(await whole(store, held), all.subarray(0, window));
});

test("a drained log is in a file and no more in Redis, and is read together with what came after", async () => {
  const redis = await server();
  const dir = folder();
  const store = await gateway(redis, dir);
  await store.publish(rulesOf());
  const held = await running(store);
  const all = noise(3_000_000);
  await ship(store, held, all.subarray(0, 1_500_000));
  expect(await drainAll(store)).toBeGreaterThan(0);
  const plain = new Redis({ port: redis.port, host: "127.0.0.1", disableClientInfo: true });
  opened.push(() => plain.disconnect());
  expect(await plain.exists(`{acme}:log:${held.run_id}:1`)).toBe(0);
  await ship(store, held, all.subarray(0, 1_900_000), 200_000, 1_500_000);
  expect(await drainAll(store)).toBe(0); // little, and it may grow
  const { run_id } = held;
  await fc.assert(
    fc.asyncProperty(fc.nat(2_000_000), fc.nat(900_000), async (from, limit) => {
      const { bytes, next, size } = await store.readLog(run_id, 1, from, limit);
      expect(size).toBe(1_900_000);
      expect(next).toBe(Math.min(from, size) + bytes.length);
      same(bytes, all.subarray(0, size).subarray(from, from + limit));
    }),
    { numRuns: 60 },
  );
  await store.finish(resultOf(held));
  expect(await drainAll(store)).toBe(1); // it grows no more
  expect(await plain.exists(`{acme}:log:${run_id}:1`)).toBe(0);
  same(await whole(store, held), all.subarray(0, 1_900_000));
  // What comes late is drained as well.
  expect(await store.log({ ...chunk(held, 1_900_000, all.subarray(1_900_000)), late: true })).toBe(all.length);
  expect(await plain.pttl(`{acme}:log:${run_id}:1`)).toBeGreaterThan(day);
  expect(await drainAll(store)).toBe(1);
  same(await whole(store, held), all);
  expect(readdirSync(join(dir, "logs", run_id))).toEqual(["1.log"]);
});

test("kill -9 of the gateways that drain, at any point, loses and doubles no byte", async () => {
  const redis = await server();
  const [one, two] = [folder(), folder()];
  const node = await gateway(redis, undefined);
  const held = await running(node);
  const children = new Map<string, Bun.Subprocess>();
  const start = async (dir: string) => {
    const url = `redis://127.0.0.1:${redis.port}/0`;
    const child = Bun.spawn([process.execPath, join(import.meta.dir, "redis/drainer.ts"), url, dir, dir], {
      stdout: "pipe",
      stderr: "inherit",
    });
    children.set(dir, child);
    opened.push(() => child.kill("SIGKILL"));
    await child.stdout.getReader().read(); // it drains from now on
  };
  await Promise.all([one, two].map(start));
  const all = noise(40_000_000);
  let shipped = false;
  const shipping = ship(node, held, all, 262_144).then(() => (shipped = true));
  for (let kills = 0; !shipped || kills < 4; kills++) {
    const victim = kills % 2 === 0 ? one : two;
    await Bun.sleep((kills * 37) % 150); // somewhere between two steps
    const child = children.get(victim);
    child?.kill("SIGKILL");
    await child?.exited;
    await start(victim);
  }
  await shipping;
  await node.finish(resultOf(held));
  // Each has a part; a gateway that has both folders' archive would see all. Here a test looks into both.
  const stores = await Promise.all([one, two].map((dir) => gateway(redis, dir)));
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < all.length;) {
    const found = await Promise.any(stores.map((store) => store.readLog(held.run_id, 1, at, 500_000)));
    expect(found.size).toBe(all.length);
    pieces.push(found.bytes);
    at = found.next;
  }
  same(Buffer.concat(pieces), all);
});

test("who wakes between file and trim trims nothing that another has, and nothing twice", async () => {
  const redis = await server();
  const store = await gateway(redis, undefined);
  const held = await running(store);
  const all = noise(3_000_000);
  await ship(store, held, all.subarray(0, 1_500_000));
  const link = new Link({ url: redis.url, pool: "acme" });
  opened.push(() => link.close());
  await link.ready();
  const { run_id } = held;
  const drain = async (place: string) => {
    const [, , part, from, bytes] = await link.callRaw("drain", { place, name: place, patience_ms: 0 });
    return { part: Number(part), from: Number(from), bytes: Buffer.isBuffer(bytes) ? bytes : Buffer.alloc(0) };
  };
  const trim = (place: string, from: number, to: number) =>
    link.call("trim", { run_id, attempt: "1", place, from, to });
  const frozen = await drain("one");
  expect(frozen).toEqual({ part: 0, from: 0, bytes: Buffer.from(all.subarray(0, 1_500_000)) });
  await ship(store, held, all, 200_000, 1_500_000);
  const other = await drain("two");
  expect(other).toEqual({ part: 0, from: 0, bytes: Buffer.from(all) });
  expect(await trim("one", 0, 1_500_000)).toBe(0);
  expect(await trim("two", 0, 4_000_000)).toBe(0);
  expect(await trim("two", 0, 2_000_000)).toBe(1);
  expect(await trim("two", 0, 2_000_000)).toBe(0);
  expect(await trim("two", 0, 2_500_000)).toBe(0);
  const { bytes, size } = await store.readLog(run_id, 1, 2_000_000, window);
  expect(size).toBe(3_000_000);
  same(bytes, all.subarray(2_000_000));
});

test("a gateway that has not drained a part says who has it", async () => {
  const redis = await server();
  const [one, two] = [await gateway(redis, folder()), await gateway(redis, folder(), 0)];
  const held = await running(one);
  const all = noise(3_000_000);
  await ship(one, held, all.subarray(0, 1_500_000));
  expect(await drainAll(one, "gateway-1")).toBe(1);
  await ship(one, held, all, 200_000, 1_500_000);
  expect(await drainAll(two, "gateway-2")).toBe(1);
  const read = (store: RedisStore, from: number) => store.readLog(held.run_id, 1, from, 1000);
  // A page that begins in one's own part ends where the other's begins.
  expect(await one.readLog(held.run_id, 1, 1_400_000, 200_000)).toMatchObject({ next: 1_500_000, size: 3_000_000 });
  expect((await read(one, 0)).bytes.length).toBe(1000);
  expect((await read(two, 2_000_000)).bytes.length).toBe(1000);
  for (const [store, from, who] of [
    [one, 2_000_000, "gateway-2"],
    [two, 0, "gateway-1"],
  ] as const) {
    expect(read(store, from)).rejects.toMatchObject({
      kind: "unavailable",
      message: `this part of the log is kept by gateway "${who}"`,
      hint: expect.stringContaining("logs.archive"),
    });
  }
});

test("the file of a gateway that was overtaken holds no byte twice when it comes back", async () => {
  const redis = await server();
  const dir = folder();
  const [one, two] = [await gateway(redis, dir), await gateway(redis, folder(), 0)];
  const held = await running(one);
  const all = noise(window);
  await ship(one, held, all.subarray(0, 1_500_000));
  await drainAll(one, "gateway-1");
  await ship(one, held, all.subarray(0, 3_000_000), 200_000, 1_500_000);
  await drainAll(two, "gateway-2");
  await ship(one, held, all, 200_000, 3_000_000);
  const three = await gateway(redis, dir, 0);
  await drainAll(three, "gateway-1");
  expect(readdirSync(join(dir, "logs", held.run_id)).toSorted()).toEqual(["1.3000000.log", "1.log"]);
  same((await three.readLog(held.run_id, 1, 3_000_000, window)).bytes, all.subarray(3_000_000));
});

test.skipIf(!canMount)(
  "a gateway whose disk is full keeps a log in Redis, cuts it there with a word, and drains it later",
  () => {
    const said = onSmallDisk(join(import.meta.dir, "redis/full-disk.ts"), "2m");
    const whole = { bytes: 1_100_000, as_sent: true, said: true };
    expect(said).toEqual({
      refused: "could not append to a run's log: ENOSPC",
      taken: 1_400_000,
      finished: "ok",
      again: "could not append to a run's log: ENOSPC",
      notes: ["logs are cut short: the disk of state_dir is full"],
      whileFull: whole,
      drained: [true, false],
      after: whole,
      files: ["1.log"],
    });
  },
);

test("old drained logs are swept, but not those of a run that is not over", async () => {
  const dir = folder();
  const store = await gateway(await server(), dir);
  const over = await running(store);
  await store.log(chunk(over, 0, noise(10)));
  await store.finish(resultOf(over));
  await queue(store);
  const open = heldOf(await leased(store, askOf()));
  await ship(store, open, noise(1_100_000));
  await drainAll(store);
  await store.publish(rulesOf({ keep: { ...rulesOf().keep, logs_ms: 0 } }));
  await store.sweep();
  expect(readdirSync(join(dir, "logs")).filter((name) => name !== "place")).toEqual([open.run_id]);
  expect((await store.readLog(over.run_id, 1, 0, 100)).bytes.length).toBe(0);
});
