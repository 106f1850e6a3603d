import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runStates } from "../src/core/records.ts";
import { defaultRetry } from "../src/core/retry.ts";
import { sent } from "../src/core/post.ts";
import { postsOf } from "../src/gateway/announce.ts";
import type { Destination, Destinations } from "../src/gateway/destinations.ts";
import { startSender } from "../src/gateway/send.ts";
import { sendPost } from "../src/http.ts";
import { openRedis } from "../src/stores/redis.ts";
import { openSqlite } from "../src/stores/sqlite.ts";
import type { Settlement, Store } from "../src/stores/store.ts";
import { startRedis } from "../test/fakes/redis-server.ts";
import { machine, median, percentile } from "./machine.ts";

// Posts per second to one fake that has no limit, and what one destination that never answers costs 499 others:
// bun bench/send.ts [posts]. The delay is from a post's making to its being settled, beside the same without the stuck one.

const many = Number(process.argv[2] ?? 2000);
const width = 500;

type Opened = { store: Store; close(): Promise<void> };

async function sqlite(): Promise<Opened> {
  const dir = mkdtempSync(join(tmpdir(), "meshmac-bench-"));
  const store = await openSqlite({ path: join(dir, "meshmac.db"), state_dir: dir });
  return { store, close: () => store.close().then(() => rmSync(dir, { recursive: true, force: true })) };
}

async function redis(): Promise<Opened> {
  const server = await startRedis();
  const store = await openRedis({ url: server.url, pool: "bench" });
  return { store, close: () => store.close().then(() => server.stop()) };
}

const destinationAt = (name: string, url: string): Destination => ({
  name: `chat:${name}`,
  kind: "fake",
  policy: defaultRetry,
  outbound: { timeout: 10_000, allow_http: false },
  canDegrade: false,
  hears: new Set(runStates),
  wants: () => true,
  post: ({ key }) => ({ method: "POST", url, body: { key } }),
  judge: () => sent(),
  keep: () => undefined,
});

const mapOf = (all: Destination[]): Destinations => new Map(all.map((one) => [one.name, one]));

const ms = (value: number, size: number): string => value.toFixed(2).padStart(size);

/** Hands in a report and makes its posts at all of these destinations. */
async function announce(store: Store, id: string, destinations: Destinations): Promise<void> {
  const nothing = { commit: null, run_url: null, mesh_node_id: null, failing_target: null };
  await store.report({
    source: "bench",
    workflow: "nightly",
    state: "succeeded",
    branch: "main",
    provider_run_id: id,
    ...nothing,
  });
  const events = await store.events(1000);
  const telling = { destinations, mask: (text: string) => text, adminUrl: null };
  await store.expand(events.map((event) => ({ event, posts: postsOf(event, telling) })));
}

/** A store that tells when a post is settled as sent. */
function watched(store: Store): { store: Store; next(count: number): Promise<number[]> } {
  let times: number[] = [];
  let look: (() => void) | undefined;
  const settle = async (settlement: Settlement) => {
    const said = await store.settle(settlement);
    if (settlement.verdict === "sent") times.push(performance.now());
    look?.();
    return said;
  };
  return {
    store: new Proxy(store, { get: (target, name) => (name === "settle" ? settle : Reflect.get(target, name)) }),
    async next(count) {
      await new Promise<void>((resolve) => {
        look = () => times.length >= count && resolve();
        look();
      });
      const taken = times;
      times = [];
      return taken;
    },
  };
}

async function throughput(open: () => Promise<Opened>, url: string): Promise<number> {
  const { store, close } = await open();
  const destinations = mapOf([destinationAt("one", url)]);
  for (let n = 0; n < many; n++) await announce(store, String(n), destinations);
  const watch = watched(store);
  const began = performance.now();
  const sender = startSender({ store: watch.store, destinations, mask: (text) => text, print: () => {} });
  await watch.next(many);
  const seconds = (performance.now() - began) / 1000;
  await sender.stop();
  await close();
  return many / seconds;
}

/** Milliseconds from the making of a post to its being settled, at a quiet pace, one destination after the other. */
async function delays(open: () => Promise<Opened>, url: string, stuck: string | null): Promise<number[]> {
  const { store, close } = await open();
  const others = Array.from({ length: width - 1 }, (_, n) => destinationAt(`other-${n}`, url));
  const blocked = destinationAt("stuck", stuck ?? url);
  const destinations = mapOf([blocked, ...others]);
  const watch = watched(store);
  // A stuck one has a queue of its own behind it.
  for (let n = 0; stuck !== null && n < 200; n++) await announce(store, `stuck-${n}`, mapOf([blocked]));
  const send: typeof sendPost = (post, outbound) =>
    post.url === stuck ? new Promise(() => {}) : sendPost(post, outbound);
  const sender = startSender({ store: watch.store, destinations, mask: (text) => text, print: () => {}, send });
  const took: number[] = [];
  for (let n = 0; n < many / 4; n++) {
    const one = others[n % others.length];
    if (!one) break;
    const began = performance.now();
    await announce(store, `other-${n}`, mapOf([one]));
    const [end = Number.NaN] = await watch.next(1);
    took.push(end - began);
  }
  void sender.stop();
  await close();
  return took;
}

/** Milliseconds until 499 destinations have heard of one event, each of them at once. */
async function burst(open: () => Promise<Opened>, url: string): Promise<number[]> {
  const { store, close } = await open();
  const destinations = mapOf(Array.from({ length: width }, (_, n) => destinationAt(`chat-${n}`, url)));
  const watch = watched(store);
  const sender = startSender({ store: watch.store, destinations, mask: (text) => text, print: () => {} });
  const began = performance.now();
  await announce(store, "burst", destinations);
  const took = (await watch.next(width)).map((end) => end - began);
  await sender.stop();
  await close();
  return took;
}

const fake = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("ok") });
const url = `http://127.0.0.1:${fake.port}/`;
console.log(machine());
console.log(
  `${many} posts to one; ${many / 4} posts among ${width} destinations, one of them stuck with 200 waiting; ms`,
);
console.log("store     posts/s   alone p50    p99   beside a stuck one p50    p99   one event at 500: p50    last");
for (const [name, open] of [
  ["sqlite", sqlite],
  ["redis", redis],
] as const) {
  const rate = await throughput(open, url);
  const alone = await delays(open, url, null);
  const beside = await delays(open, url, `${url}stuck`);
  const all = await burst(open, url);
  console.log(
    `${name.padEnd(8)} ${rate.toFixed(0).padStart(8)} ${ms(median(alone), 11)} ${ms(percentile(alone, 99), 6)} ${ms(median(beside), 24)} ${ms(percentile(beside, 99), 6)} ${ms(median(all), 24)} ${ms(Math.max(...all), 7)}`,
  );
}
fake.stop(true);
