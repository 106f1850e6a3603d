import { Redis } from "ioredis";
import { openRedis } from "../src/stores/redis.ts";
import type { Store } from "../src/stores/store.ts";
import { type RedisServer, startRedis } from "../test/fakes/redis-server.ts";
import { machine } from "./machine.ts";

// What nodes with nothing to do cost Redis: commands per second and node, by the server's own count (INFO commandstats).
// bun bench/idle.ts [seconds] [nodes]. The floor is the least that hears at once of new work: one blocking read per node,
// asked anew every 5 s, as BullMQ's workers do with a BZPOPMIN. `busy` is the same pool while one run every second is
// accepted, leased and finished.

const seconds = Number(process.argv[2] ?? 30);
const nodes = Number(process.argv[3] ?? 50);
const block_s = 5;

const facts = { version: "0.1.0", os: "bench", labels: [], scripts: ["build-ios"], concurrency: 1 };

/** The commands that the server has carried out so far, those within scripts included and apart. */
async function counted(server: RedisServer): Promise<Map<string, number>> {
  const client = new Redis({ port: server.port, host: "127.0.0.1", disableClientInfo: true });
  const info = await client.info("commandstats");
  client.disconnect();
  return new Map(
    [...info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name = "", calls]) => [name, Number(calls)]),
  );
}

interface Cost {
  /** Requests that nodes sent. */
  asked: number;
  /** Everything that the server did for them, commands within scripts too. */
  done: number;
  most: string;
}

/** Per second and node, over `seconds`. */
async function costOf(server: RedisServer): Promise<Cost> {
  const before = await counted(server);
  await Bun.sleep(seconds * 1000);
  const after = await counted(server);
  const rates = [...after]
    .map(([name, calls]) => [name, (calls - (before.get(name) ?? 0)) / seconds / nodes] as const)
    .filter(([name, rate]) => rate > 0 && !/^(info|client|hello|select|config)/.test(name))
    .toSorted(([, a], [, b]) => b - a);
  const sum = (names: RegExp) => rates.filter(([name]) => names.test(name)).reduce((all, [, rate]) => all + rate, 0);
  const most = rates.slice(0, 4).map(([name, rate]) => `${name} ${rate.toFixed(3)}`);
  return { asked: sum(/^(evalsha|eval|script|xread|bzpopmin)/), done: sum(/./), most: most.join(", ") };
}

const line = (name: string, { asked, done, most }: Cost): string =>
  `${name.padEnd(8)} ${asked.toFixed(3).padStart(9)} ${done.toFixed(3).padStart(9)}   ${most}`;

async function floor(): Promise<Cost> {
  const server = await startRedis();
  const clients = Array.from(
    { length: nodes },
    () => new Redis({ port: server.port, host: "127.0.0.1", disableClientInfo: true }),
  );
  let over = false;
  const waits = clients.map(async (client) => {
    while (!over) await client.bzpopmin("waiting", block_s).catch(() => {});
  });
  const cost = await costOf(server);
  over = true;
  for (const client of clients) client.disconnect();
  await Promise.all(waits);
  await server.stop();
  return cost;
}

/** Each node is a store of its own, as it is a process of its own; it waits for a lease like `meshmac work`. */
async function pool(busy: boolean): Promise<Cost> {
  const server = await startRedis();
  const stores = await Promise.all(Array.from({ length: nodes }, () => openRedis({ url: server.url, pool: "bench" })));
  const over = new AbortController();
  const waits = stores.map(async (store, i) => {
    while (!over.signal.aborted) await one(store, `mac-${i}`, over.signal);
  });
  const [first] = stores;
  const timer = setInterval(() => busy && first && void acceptOne(first), 1000);
  const cost = await costOf(server);
  clearInterval(timer);
  over.abort();
  await Promise.all(waits);
  await Promise.all(stores.map((store) => store.close()));
  await server.stop();
  return cost;
}

async function one(store: Store, node: string, signal: AbortSignal): Promise<void> {
  const ask = { node, facts, token: crypto.randomUUID(), holding: [] };
  const lease = await store.lease(ask, { ms: 60_000, signal });
  if (!lease) return;
  const now = Date.now();
  await store.finish({
    run_id: lease.task.run_id,
    attempt: lease.attempt,
    state: "succeeded",
    mesh_node_id: node,
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
}

async function acceptOne(store: Store): Promise<void> {
  const run_id = Bun.randomUUIDv7();
  await store.accept({
    task: {
      v: 1,
      run_id,
      source: "bench",
      issue_key: "MOB-12",
      issue_id: "10012",
      issue_url: null,
      project: "MOB",
      transition_id: "Building",
      summary: "Make the splash screen faster",
      requested_by: "Robin Example",
      repo_url: "git@git.example:acme/app.git",
      ref: "main",
      script: "build-ios",
      lane: "ios",
      params: {},
      timeout_s: 0,
      idempotency_key: run_id,
      correlation_id: run_id,
      accepted_at: Date.now(),
    },
    marks: [],
    seen_at: Date.now(),
  });
}

console.log(machine());
console.log(`${nodes} nodes, ${seconds} s each; per node and second`);
console.log("pool     requests  commands   most of them");
console.log(line("floor", await floor()));
console.log(line("idle", await pool(false)));
console.log(line("busy", await pool(true)));
