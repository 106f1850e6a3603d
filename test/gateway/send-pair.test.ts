import { expect, test } from "bun:test";
import { join } from "node:path";
import { openRedis } from "../../src/stores/redis.ts";
import type { Store } from "../../src/stores/store.ts";
import { openMattermost } from "../fakes/mattermost.ts";
import { gate } from "../fakes/remote.ts";
import { startRedis } from "../fakes/redis-server.ts";
import { until } from "../stores/conformance/given.ts";
import { openSpeaker } from "./send-pair.ts";

const start = (port: number, hook: string) =>
  Bun.spawn([process.execPath, join(import.meta.dir, "send-pair.ts")], {
    env: { PATH: process.env.PATH ?? "", PAIR_PORT: String(port), PAIR_HOOK: hook },
    stdout: "ignore",
    stderr: "ignore",
  });

const report = (store: Pick<Store, "report">, id: string) =>
  store.report({
    source: "github",
    workflow: `nightly-${id}`,
    state: "succeeded",
    branch: "main",
    commit: null,
    run_url: null,
    mesh_node_id: null,
    provider_run_id: id,
    failing_target: null,
  });

const told = (posts: unknown[]): string[] => posts.map((post) => /nightly-[\d]+/.exec(JSON.stringify(post))?.[0] ?? "");

test("two gateways on one Redis: each post by exactly one, and what a killed one held by the other", async () => {
  const redis = await startRedis();
  const held = gate();
  using chat = openMattermost({
    script: [
      { gate: held, after: "reset" },
      { gate: held, after: "reset" },
    ],
  });
  const killed = start(redis.port, chat.url);
  const store = await openRedis({ url: redis.url, pool: "pair" });
  for (const id of ["1", "2", "3", "4"]) await report(store, id);
  await chat.arrived(2);
  killed.kill("SIGKILL");
  await killed.exited;
  held.open();
  const first = start(redis.port, chat.url);
  const second = await openSpeaker(redis.port, chat.url);
  for (let id = 5; id <= 60; id++) await report(store, String(id));
  await until(async () => chat.posts.length >= 60);
  await until(async () => (await store.destinations()).length === 0);
  expect(new Set(told(chat.posts)).size).toBe(60);
  expect(chat.posts).toHaveLength(60);
  const rows = await Promise.all(Array.from({ length: 60 }, (_, n) => store.posts(`github/${n + 1}`)));
  // The killed one was sending two; nobody else ever doubted.
  expect(rows.flatMap((posts) => posts ?? []).filter(({ unsure }) => unsure)).toHaveLength(2);
  first.kill("SIGKILL");
  await first.exited;
  await second.close();
  await store.close();
  await redis.stop();
}, 60_000);
