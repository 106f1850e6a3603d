// Runs per second through a pool with an empty script body, beside jobs per second through BullMQ 6 on the same Redis in the
// same process. BullMQ is no dependency of ours: npm installs it into a temporary folder for this run. bun bench/lease.ts;
// BENCH_RUNS and BENCH_ROUNDS say how many of each, BENCH_BULLMQ names a folder that has it installed already.
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Task } from "../src/core/records.ts";
import { openRedis } from "../src/stores/redis.ts";
import type { LeaseAsk, Store } from "../src/stores/store.ts";
import { type RedisServer, startRedis } from "../test/fakes/redis-server.ts";
import { rulesOf } from "../test/stores/conformance/given.ts";
import { machine, median } from "./machine.ts";

const runs = Number(process.env.BENCH_RUNS ?? 3000);
const rounds = Number(process.env.BENCH_ROUNDS ?? 5);
const concurrencies = [1, 8, 50];

const print = (line: string): void => void process.stdout.write(`${line}\n`);

const taskOf = (n: number): Task => ({
  v: 1,
  run_id: Bun.randomUUIDv7(),
  source: "jira",
  issue_key: `MOB-${n}`,
  issue_id: String(n),
  issue_url: null,
  project: "MOB",
  transition_id: "31",
  summary: "Make the splash screen faster",
  requested_by: "Robin Example",
  repo_url: "git@git.example:acme/app.git",
  ref: "main",
  script: "build-ios",
  lane: "ios",
  params: {},
  timeout_s: 2700,
  idempotency_key: `bench:${n}`,
  correlation_id: "bench",
  accepted_at: Date.now(),
});

const askOf = (node: string): LeaseAsk => ({
  node,
  facts: { version: "0.1.0", os: "bench", labels: ["xcode-16"], scripts: ["build-ios"], concurrency: 1 },
  token: `bench.${crypto.randomUUID()}`,
  holding: [],
});

/** One node: leases, asks before it starts (as the worker does) where `start`, and finishes, until nothing waits. */
async function build(store: Store, name: string, start: boolean): Promise<number> {
  for (let done = 0; ; done++) {
    const lease = await store.lease(askOf(name));
    if (!lease) return done;
    const held = { run_id: lease.task.run_id, attempt: lease.attempt };
    if (start) await store.renew(name, [held]);
    const now = Date.now();
    const answer = await store.finish({
      ...held,
      state: "succeeded",
      mesh_node_id: name,
      reason: null,
      commit: null,
      failing_target: null,
      summary: null,
      run_url: null,
      started_at: now,
      finished_at: now,
      exit_code: 0,
      log_tail: [],
    });
    if (answer !== "ok") throw new Error(`finish said ${answer}`);
  }
}

/** Runs per second of a pool of so many nodes that have one connection, as BullMQ's worker has. */
async function ours(redis: RedisServer, nodes: number, start: boolean): Promise<number> {
  const store = await openRedis({ url: redis.url, pool: `bench-${crypto.randomUUID().slice(0, 8)}` });
  try {
    await store.publish(rulesOf());
    for (let n = 0; n < runs; n += 100) {
      const entries = Array.from({ length: Math.min(100, runs - n) }, (_, i) => taskOf(n + i));
      await Promise.all(entries.map((task) => store.accept({ task, marks: [], seen_at: task.accepted_at })));
    }
    const began = performance.now();
    const done = await Promise.all(Array.from({ length: nodes }, (_, i) => build(store, `mac-${i}`, start)));
    const seconds = (performance.now() - began) / 1000;
    if (done.reduce((sum, count) => sum + count, 0) !== runs) throw new Error(`${done} of ${runs} runs`);
    return runs / seconds;
  } finally {
    await store.close();
  }
}

/** What we use of BullMQ. */
interface Bull {
  Queue: new (
    name: string,
    options: object,
  ) => { addBulk(jobs: object[]): Promise<unknown>; waitUntilReady(): Promise<unknown>; close(): Promise<void> };
  Worker: new (
    name: string,
    body: () => Promise<void>,
    options: object,
  ) => {
    on(event: "completed", heard: () => void): unknown;
    on(event: "error" | "failed", heard: (...said: unknown[]) => void): unknown;
    waitUntilReady(): Promise<unknown>;
    run(): Promise<void>;
    close(): Promise<void>;
  };
}

/** Jobs per second of one BullMQ worker; data of the same size as our task. */
async function bullmq({ Queue, Worker }: Bull, redis: RedisServer, concurrency: number): Promise<number> {
  const connection = { host: "127.0.0.1", port: redis.port };
  const name = `bench-${crypto.randomUUID().slice(0, 8)}`;
  const queue = new Queue(name, { connection });
  await queue.waitUntilReady();
  for (let n = 0; n < runs; n += 100) {
    const jobs = Array.from({ length: Math.min(100, runs - n) }, (_, i) => ({ name: "build", data: taskOf(n + i) }));
    await queue.addBulk(jobs);
  }
  const { promise: over, resolve, reject } = Promise.withResolvers<void>();
  const worker = new Worker(name, async () => {}, { connection, concurrency, autorun: false });
  let left = runs;
  worker.on("completed", () => --left === 0 && resolve());
  worker.on("failed", (_job, cause) => reject(cause));
  worker.on("error", reject);
  await worker.waitUntilReady();
  const began = performance.now();
  worker.run().catch(reject);
  await over;
  const seconds = (performance.now() - began) / 1000;
  await worker.close();
  await queue.close();
  return runs / seconds;
}

function install(dir: string): void {
  const packages = ["bullmq@6", "ioredis@6"]; // the driver that we use too, in its version
  const { exitCode, stderr } = Bun.spawnSync(
    ["npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--ignore-scripts", ...packages],
    { stdout: "ignore", stderr: "pipe" },
  );
  if (exitCode !== 0) throw new Error(`npm install ended with ${exitCode}: ${stderr.toString().slice(-500)}`);
}

async function compare(bull: Bull): Promise<void> {
  const redis = await startRedis({ appendfsync: "everysec" });
  try {
    for (const concurrency of concurrencies) {
      const figures = { ours: [] as number[], bare: [] as number[], bull: [] as number[] };
      // In turns, so that a slow minute of the machine meets all of them.
      for (let round = 0; round <= rounds; round++) {
        const one = {
          ours: await ours(redis, concurrency, true),
          bare: await ours(redis, concurrency, false),
          bull: await bullmq(bull, redis, concurrency),
        };
        if (round === 0) continue; // the first warms up
        for (const name of ["ours", "bare", "bull"] as const) figures[name].push(one[name]);
      }
      const ratio = (name: "ours" | "bare") => median(figures[name].map((n, i) => n / (figures.bull[i] ?? Number.NaN)));
      const of = (name: keyof typeof figures) => `${Math.round(median(figures[name]))}/s`;
      print(
        `${concurrency} at once: lease, renew, finish ${of("ours")} (ratio ${ratio("ours").toFixed(2)}), lease, finish ${of("bare")} (ratio ${ratio("bare").toFixed(2)}), BullMQ ${of("bull")}`,
      );
    }
  } finally {
    await redis.stop();
  }
}

if (import.meta.main) {
  const given = process.env.BENCH_BULLMQ;
  const dir = given ?? mkdtempSync(join(tmpdir(), "meshmac-bullmq-"));
  try {
    if (given === undefined) install(dir);
    const load = createRequire(join(dir, "package.json"));
    const { version } = load("bullmq/package.json") as { version: string };
    print(machine());
    print(`${runs} runs, medians of ${rounds} rounds, Redis everysec; BullMQ ${version}`);
    await compare(load("bullmq") as Bull);
  } finally {
    if (given === undefined) rmSync(dir, { recursive: true, force: true });
  }
}
