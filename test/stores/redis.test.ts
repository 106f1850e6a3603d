import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { Redis } from "ioredis";
import { Secret } from "../../src/core/secret.ts";
import { openRedis, type RedisStore } from "../../src/stores/redis.ts";
import { startProxy } from "../fakes/redis-proxy.ts";
import { type RedisServer, startRedis } from "../fakes/redis-server.ts";
import { conformance } from "./conformance.ts";
import { aging } from "./conformance/fairness.ts";
import {
  askOf,
  bytesOf,
  claimed,
  delivery,
  expandAll,
  heldOf,
  intent,
  leased,
  longWait,
  queue,
  resultOf,
  seenAt,
  taskOf,
  told,
  until,
} from "./conformance/given.ts";

let pools = 0;
const newPool = (): string => `pool-${++pools}`;

describe.each([
  ["redis", {}],
  ["redis cluster of one node", { cluster: true }],
  ["redis cluster of one node that does not know its address", { cluster: "nameless" }],
] as const)("%s", (name, options) => {
  let shared: RedisServer;
  beforeAll(async () => {
    shared = await startRedis(options);
  });
  afterAll(async () => await shared.stop());

  conformance(name, async () => {
    const store = await openRedis({ url: shared.url, pool: newPool() });
    return { store, close: () => store.close() };
  });
});

/** Whatever a test opened is closed after it, the last first. */
const opened: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close();
});

async function server(options?: Parameters<typeof startRedis>[0]): Promise<RedisServer> {
  const started = await startRedis(options);
  opened.push(() => started.stop());
  return started;
}

async function open(url: RedisServer["url"], more: Partial<Parameters<typeof openRedis>[0]> = {}): Promise<RedisStore> {
  const store = await openRedis({ url, pool: "acme", ...more });
  opened.push(() => store.close());
  return store;
}

/** Talks to the server without the store. */
function plain({ port }: RedisServer, more: { password?: string } = {}): Redis {
  const client = new Redis({ port, host: "127.0.0.1", disableClientInfo: true, ...more });
  client.on("error", () => {});
  opened.push(async () => client.disconnect());
  return client;
}

aging("redis", async () => {
  const redis = await server();
  const store = await open(redis.url);
  const client = plain(redis);
  // Redis has a clock of its own: what waits is made older.
  const pass = async (ms: number, ...run_ids: string[]) => {
    for (const run_id of run_ids) {
      for (const time of ["queued_at", "lock_since"]) {
        const hash = `{acme}:run:${run_id}`;
        if (await client.hexists(hash, time)) await client.hincrby(hash, time, -ms);
      }
    }
  };
  return { store, pass, close: async () => {} };
});

const works = (store: RedisStore) =>
  until(() =>
    store.check().then(
      () => true,
      () => false,
    ),
  );

describe("what a Redis must be", () => {
  test.each([
    ["keeps nothing", { appendonly: "no" }, { kind: "config", message: /keeps nothing: appendonly is off/ }],
    [
      "evicts keys",
      { more: { maxmemory: "64mb", "maxmemory-policy": "allkeys-lru" } },
      { kind: "config", message: /evicts keys/ },
    ],
    ["is a replica", { more: { replicaof: "127.0.0.1 1" } }, { kind: "unavailable", message: /replica/ }],
  ] as const)("refuses one that %s, before it is given anything", async (_what, options, { kind, message }) => {
    const redis = await server(options);
    const store = await open(redis.url);
    expect(store.accept({ task: taskOf(), marks: [], seen_at: seenAt })).rejects.toMatchObject({
      kind,
      message: expect.stringMatching(message),
      hint: expect.any(String),
    });
    if (kind === "config") expect(store.ready()).rejects.toMatchObject({ kind, status: 78 });
    expect(await plain(redis).dbsize()).toBe(0);
  });

  test("takes one that keeps nothing when that was asked for, and says so", async () => {
    const store = await open((await server({ appendonly: "no" })).url, { allowVolatile: true });
    await store.ready();
    await store.check();
    expect(store.about.durability).toStartWith("volatile");
  });

  test("is looked at again: one that was mended is taken", async () => {
    const redis = await server({ appendonly: "no" });
    const store = await open(redis.url);
    expect(store.check()).rejects.toMatchObject({ kind: "config" });
    await plain(redis).config("SET", "appendonly", "yes");
    await works(store);
  });

  test.each([
    ["always", "power-safe"],
    ["everysec", "crash-safe, up to 2 s on power loss"],
  ] as const)("says in words what appendfsync %s means", async (appendfsync, words) => {
    const store = await open((await server({ appendfsync })).url);
    expect(store.about).toEqual({ kind: "redis", durability: words });
  });

  test("works for a user who may do no more than it needs, and says what it cannot know", async () => {
    const redis = await server();
    const rights =
      "-@all +@stream +@hash +@string +@set +@sortedset +eval +evalsha +del +exists +pexpire +persist +time +info";
    const user = ["gateway", "on", ">hunter2hunter2", "~{acme}:*", ...`${rights} +hello +auth`.split(" ")];
    await plain(redis).call("ACL", "SETUSER", ...user);
    const password = new Secret("redis/gateway.password", () => "hunter2hunter2");
    const store = await open({ ...redis.url, user: "gateway" }, { password });
    await queue(store);
    const held = heldOf(await leased(store));
    expect(await store.finish(resultOf(held))).toBe("ok");
    expect(store.about.durability).toContain("unknown");
  });
});

describe("errors", () => {
  test("say who refused the password, never the password or the task", async () => {
    const redis = await server({ requirepass: "correct-horse" });
    const password = new Secret("redis/gateway.password", () => "battery-staple");
    const store = await open(redis.url, { password });
    const error = await store.accept({ task: taskOf({ summary: "hush" }), marks: [], seen_at: seenAt }).catch(String);
    expect(error).toContain(`redis at 127.0.0.1:${redis.port} refused the user or the password`);
    expect(error).not.toMatch(/battery|correct|hush/);
    expect(store.ready()).rejects.toMatchObject({ kind: "permission", status: 77 });
  });

  test("carry nothing of the command when Redis refuses a write", async () => {
    const redis = await server();
    const store = await open(redis.url);
    await plain(redis).config("SET", "maxmemory", "1");
    const error: unknown = await store
      .accept({ task: taskOf({ summary: "hush" }), marks: [], seen_at: seenAt })
      .catch((why) => why);
    expect(error).toMatchObject({ kind: "unavailable", message: expect.stringContaining("OOM") });
    expect(Bun.inspect(error)).not.toContain("hush");
    expect(await store.list({ limit: 1 })).toEqual({ runs: [], next: null }); // reading goes on
  });

  test("reads a new password when it connects anew", async () => {
    const redis = await server({ requirepass: "first-password" });
    let current = "first-password";
    const store = await open(redis.url, { password: new Secret("redis/gateway.password", () => current) });
    await store.check();
    await redis.kill9();
    current = "second-password";
    await redis.restart({ requirepass: "second-password" });
    await works(store);
  });
});

describe("two passwords, for the time of a rotation", () => {
  /** A secret whose values the test lays out, the one to try first in front; answers how each was used. */
  function changing(...first: string[]) {
    let values = first;
    const uses: string[] = [];
    const secret = new Secret("redis/gateway.password");
    secret.bind(() =>
      values.map((text) => ({
        text,
        keyId: text,
        used: (refused) => void uses.push(`${text} ${refused ? "no" : "yes"}`),
        taken: () => {},
      })),
    );
    return { secret, uses, set: (...now: string[]) => void (values = now) };
  }

  test("the new one is tried first, and the old one where Redis does not know the new one yet", async () => {
    const redis = await server({ requirepass: "old-password" });
    const { secret, uses } = changing("new-password", "old-password");
    const store = await open(redis.url, { password: secret });
    await store.ready();
    await store.check();
    expect(uses).toEqual(["new-password no", "old-password yes"]);
  });

  test("one that was staged is shown to Redis at once, over the connection that is there", async () => {
    const redis = await server({ requirepass: "old-password" });
    const { secret, uses, set } = changing("old-password");
    const store = await open(redis.url, { password: secret });
    await store.check();
    expect(uses).toEqual(["old-password yes"]);
    const operator = plain(redis, { password: "old-password" });
    await operator.call("ACL", "SETUSER", "default", ">new-password");
    set("new-password", "old-password");
    await until(async () => uses.includes("new-password yes"));
    await store.check();
    // Taken away by its digest, as the steps of a rotation say it; whoever is connected stays connected.
    const digest = new Bun.CryptoHasher("sha256").update("old-password").digest("hex");
    await operator.call("ACL", "SETUSER", "default", `!${digest}`);
    set("new-password");
    await store.check();
    await operator.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    await works(store);
    expect(uses.filter((use) => use.startsWith("old"))).toEqual(["old-password yes"]);
  });

  test("one that Redis refuses leaves the connection as it was", async () => {
    const redis = await server({ requirepass: "old-password" });
    const { secret, uses, set } = changing("old-password");
    const store = await open(redis.url, { password: secret });
    await store.check();
    set("mistyped", "old-password");
    await until(async () => uses.includes("mistyped no"));
    await store.check();
  });

  test("two that Redis refuses are said to be wrong", async () => {
    const redis = await server({ requirepass: "third-password" });
    const { secret } = changing("new-password", "old-password");
    const store = await open(redis.url, { password: secret });
    await expect(store.ready()).rejects.toMatchObject({ kind: "permission", status: 77 });
  });
});

describe("a Redis that goes and comes", () => {
  test("opens while Redis is down, says so at once, and works when Redis is there", async () => {
    const redis = await server();
    await redis.kill9();
    const store = await open(redis.url);
    await store.ready();
    expect(store.check()).rejects.toMatchObject({
      kind: "unavailable",
      message: `redis at 127.0.0.1:${redis.port} did not answer`,
    });
    await redis.restart();
    await works(store);
  });

  test.each([true, "nameless"] as const)(
    "comes back as a cluster too (%p)",
    async (cluster) => {
      const redis = await server({ cluster });
      const store = await open(redis.url);
      const task = await queue(store);
      await redis.kill9();
      expect(await store.check().catch((error: unknown) => error)).toMatchObject({ kind: "unavailable" });
      await redis.restart();
      await works(store);
      expect((await store.list({ limit: 5 })).runs.map(({ run_id }) => run_id)).toEqual([task.run_id]);
    },
    30_000,
  );

  test("loses no acknowledged accept to kill -9, and recovers by itself", async () => {
    const redis = await server({ appendfsync: "always" });
    const store = await open(redis.url);
    const acknowledged: string[] = [];
    let wanted = 300;
    const senders = Array.from({ length: 16 }, async () => {
      while (acknowledged.length < wanted) {
        const task = taskOf();
        const entry = { task, marks: [delivery(`d/jira/${task.run_id}`)], seen_at: seenAt };
        // As a tracker does: the same delivery again until it is taken.
        await until(() => store.accept(entry).catch(() => null));
        acknowledged.push(task.run_id);
      }
    });
    for (let kill = 1; kill <= 2; kill++) {
      await until(async () => acknowledged.length >= kill * 100);
      await redis.kill9();
      await redis.restart();
    }
    wanted = acknowledged.length + 50;
    await Promise.all(senders);

    const kept: string[] = [];
    for (let cursor: string | undefined; ;) {
      const page = await store.list({ limit: 500, ...(cursor && { cursor }) });
      kept.push(...page.runs.map(({ run_id }) => run_id));
      if (page.next === null) break;
      cursor = page.next;
    }
    expect(acknowledged.filter((run_id) => !kept.includes(run_id))).toEqual([]);
    expect(kept).toHaveLength(new Set(acknowledged).size);
  }, 60_000);

  test("wakes a lease that was waiting while Redis went and came", async () => {
    const redis = await server();
    const store = await open(redis.url);
    const waiting = until(() => store.lease(askOf(), { ms: longWait }).catch(() => null));
    await redis.kill9();
    await redis.restart();
    await works(store);
    const task = await queue(store);
    expect((await waiting).task.run_id).toBe(task.run_id);
  }, 30_000);

  test("throws while Redis is frozen, and goes on when it thaws", async () => {
    const redis = await server();
    const store = await open(redis.url);
    await store.check();
    redis.pause();
    expect(await store.check().catch((error: unknown) => error)).toMatchObject({ kind: "unavailable" });
    redis.resume();
    await works(store);
  }, 30_000);

  test("survives SCRIPT FLUSH", async () => {
    const redis = await server();
    const store = await open(redis.url);
    await queue(store);
    await plain(redis).script("FLUSH");
    expect((await queue(store)).run_id).toBeString();
    expect((await store.list({ limit: 5 })).runs).toHaveLength(2);
  });

  test("ends a waiting call at once when it is closed", async () => {
    const redis = await server();
    const store = await openRedis({ url: redis.url, pool: "acme" });
    const client = plain(redis);
    const waiting = [store.lease(askOf(), { ms: longWait }), store.stirred("posts", { ms: longWait })];
    await until(async () => String(await client.client("LIST")).includes("cmd=xread"));
    // On one connection answers come in turn: with this one that of the lease has come too, and it waits.
    await until(async () => (await store.nodes()).length === 1);
    await store.close();
    expect(await Promise.all(waiting)).toEqual([null, undefined]);
  });
});

/** A store whose line breaks before the reply to what `verb` sends arrives; `twin` sees what became of it. */
async function losing(): Promise<{ store: RedisStore; twin: RedisStore; lose: () => void; lost: () => number }> {
  const redis = await server();
  const proxy = await startProxy(redis.port);
  opened.push(() => proxy.stop());
  const store = await open({ ...redis.url, hosts: [{ host: "127.0.0.1", port: proxy.port }] });
  return { store, twin: await open(redis.url), lose: () => proxy.dropNextReply(), lost: () => proxy.dropped };
}

const reportOf = (nth: number) => ({
  source: "github",
  workflow: "release",
  state: "succeeded" as const,
  branch: "main",
  commit: null,
  run_url: null,
  mesh_node_id: null,
  provider_run_id: `r-${nth}`,
  failing_target: null,
});

describe("a reply that got lost", () => {
  test("makes no second run, no second end, no second report and no second post", async () => {
    const { store, twin, lose, lost } = await losing();
    let losses = 0;
    // Once over the open line, so that Redis knows the script; then the same verb with its reply dropped.
    async function twice<T>(verb: (nth: number) => Promise<T>): Promise<T> {
      await verb(1);
      lose();
      const answer = await until(() => verb(2).catch(() => null));
      expect(lost()).toBe(++losses);
      await works(store);
      return answer;
    }

    const tasks = [taskOf(), taskOf()];
    const entry = (nth: number) => ({
      task: tasks[nth - 1] ?? taskOf(),
      marks: [delivery(`d/jira/${nth}`), intent(`i/${nth}`)],
      seen_at: seenAt,
    });
    expect((await twice((nth) => store.accept(entry(nth)))).status).toBe("queued");
    expect((await twin.list({ limit: 10 })).runs).toHaveLength(2);

    const asks = [askOf({ node: "mac-01" }), askOf({ node: "mac-02" })];
    const lease = await twice(
      async (nth) => (await store.lease(asks[nth - 1] ?? askOf())) ?? Promise.reject("nothing"),
    );
    expect(lease.attempt).toBe(1);
    const held = heldOf(lease);

    await twice((nth) => store.log({ ...held, node: "mac-02", offset: (nth - 1) * 4, bytes: bytesOf(`log${nth}`) }));
    expect(new TextDecoder().decode((await twin.readLog(held.run_id, 1, 0, 99)).bytes)).toBe("log1log2");

    const first = heldOf((await twin.lease(asks[0] ?? askOf())) ?? lease);
    const results = [
      resultOf(first, "succeeded", { mesh_node_id: "mac-01" }),
      resultOf(held, "failed", { mesh_node_id: "mac-02" }),
    ];
    expect(await twice((nth) => store.finish(results[nth - 1] ?? resultOf(held)))).toBe("ok");
    expect(await told(twin, held.run_id)).toEqual(["queued", "running", "failed"]);

    await twice((nth) => store.report(reportOf(nth)));
    expect(await told(twin, "github/r-2")).toEqual(["succeeded"]);

    await expandAll(twin, "chat:builds");
    const one = await claimed(twin, ["chat:builds"]);
    const two = await claimed(twin, ["chat:builds"]);
    expect(
      await twice((nth) => {
        const { key, claim } = nth === 1 ? one : two;
        return store.settle({ key, claim, verdict: "sent", handle: "post-1" });
      }),
    ).toBe("ok");
    expect(await twice((nth) => store.alert(`chat:${nth}`, "open", "status 403"))).toBe(true);
  }, 60_000);
});

/** How many commands were given but by the test itself, those inside a script included. */
const ours = (of: Record<string, number>) =>
  Object.entries(of).reduce((sum, [name, count]) => (/^(info|client)/.test(name) ? sum : sum + count), 0);

describe("a node that waits for work", () => {
  test("costs one blocked read per five seconds, and hardly anything else", async () => {
    const redis = await server();
    const store = await open(redis.url);
    const client = plain(redis);
    const calls = async (): Promise<Record<string, number>> => {
      const lines = (await client.info("commandstats")).matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm);
      return Object.fromEntries([...lines].map(([, name = "", count]) => [name, Number(count)]));
    };
    const stop = new AbortController();
    const waiting = store.lease(askOf(), { ms: longWait, signal: stop.signal });
    // A read is counted when it ends: from the end of one to the end of the next is a whole cycle.
    const readsAfter = (count: number) =>
      until(async () => {
        const now = await calls();
        return (now.xread ?? 0) >= count ? now : null;
      });
    const before = await readsAfter(1);
    const after = await readsAfter((before.xread ?? 0) + 1);
    // A cycle is five seconds.
    expect(ours(after) - ours(before)).toBeLessThanOrEqual(5);
    stop.abort();
    expect(await waiting).toBeNull();
  }, 60_000);
});

test("a node that waits for a debounced run asks when it comes and when it is due, and not in between", async () => {
  const redis = await server();
  const [gateway, node] = [await open(redis.url), await open(redis.url)];
  const client = plain(redis);
  const asked = async (): Promise<number> =>
    Number(/^cmdstat_evalsha:calls=(\d+)/m.exec(await client.info("commandstats"))?.[1] ?? 0);
  const waiting = node.lease(askOf(), { ms: longWait });
  await until(async () => (await asked()) > 0);
  const before = await asked();
  const task = taskOf();
  await gateway.accept({ task, marks: [], seen_at: seenAt, debounce: { wait_ms: 1500, most_ms: 15_000 } });
  expect((await waiting)?.task).toEqual(task);
  // The accept, a lease when it rang, one when it was due; a read that ended in between may ask once more.
  expect((await asked()) - before).toBeLessThanOrEqual(6);
}, 60_000);

test("pools in one Redis know nothing of each other", async () => {
  const { url } = await server();
  const [one, two] = [await open(url, { pool: "one" }), await open(url, { pool: "two" })];
  await queue(one);
  expect(await two.lease(askOf())).toBeNull();
  expect((await two.list({ limit: 5 })).runs).toEqual([]);
});
