import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openRedis } from "../../src/stores/redis.ts";
import { openSqlite } from "../../src/stores/sqlite.ts";
import type { Lane, Lease, Store } from "../../src/stores/store.ts";
import { startRedis } from "../fakes/redis-server.ts";
import { askOf, heldOf, laneOf, resultOf, rulesOf, seenAt, taskOf } from "../stores/conformance/given.ts";
import { diceOf } from "./dice.ts";

// A pool of many nodes, lanes with limits, and counted locks that hosted CI wants too. Each node says what it runs when it
// begins and when it ends; the sum of what they say may at no instant exceed a limit or a lock. `CHAOS_TASKS=5000` for more.

const nodeCount = 50;
const taskCount = Number(process.env.CHAOS_TASKS ?? 500);
const patience = 120_000 + taskCount * 60;

const lanes: Record<string, Lane> = {
  ios: laneOf({ needs: ["xcode-16"], locks: ["signing"], limit: 4, priority: 10 }),
  mac: laneOf({ needs: ["!beta"], locks: ["signing", "simulator"], priority: 5 }),
  tests: laneOf({ locks: ["simulator"], limit: 5 }),
  docs: laneOf({ limit: 3, needs: ["*"] }),
  any: laneOf({ priority: -5, max_lost: 100 }),
};
const locks = { signing: 2, simulator: 3 };
const rules = rulesOf({
  lanes: Object.fromEntries(Object.entries(lanes).map(([name, lane]) => [name, { ...lane, max_lost: 100 }])),
  locks,
});

/** What all nodes together say that they run and hold at this instant. */
class Ledger {
  readonly #now = new Map<string, number>();
  readonly peak: Record<string, number> = {};
  readonly exceeded: string[] = [];

  begin(lane: string): void {
    this.#add(`lane ${lane}`, lanes[lane]?.limit ?? Infinity);
    for (const lock of lanes[lane]?.locks ?? []) this.hold(lock);
  }

  end(lane: string): void {
    this.#take(`lane ${lane}`);
    for (const lock of lanes[lane]?.locks ?? []) this.unhold(lock);
  }

  hold(lock: string): void {
    this.#add(`lock ${lock}`, locks[lock as keyof typeof locks]);
  }

  unhold(lock: string): void {
    this.#take(`lock ${lock}`);
  }

  #add(name: string, limit: number): void {
    const n = (this.#now.get(name) ?? 0) + 1;
    this.#now.set(name, n);
    this.peak[name] = Math.max(this.peak[name] ?? 0, n);
    if (n > limit) this.exceeded.push(`${name}: ${n} of ${limit}`);
  }

  #take(name: string): void {
    this.#now.set(name, (this.#now.get(name) ?? 0) - 1);
  }
}

/** The work of a script: some milliseconds, so that much goes on at the same time. */
const work = (dice: () => number): Promise<void> => Bun.sleep(5 + dice() * 25);

interface Yard {
  ledger: Ledger;
  dice: () => number;
  over: AbortSignal;
  ended(): void;
}

/** Leases, works and finishes until the work is over; now and then it crashes and comes back knowing nothing. */
async function node(store: Store, name: string, { ledger, dice, over, ended }: Yard): Promise<void> {
  const labels = [...(dice() < 0.6 ? ["xcode-16"] : []), ...(dice() < 0.2 ? ["beta"] : [])];
  while (!over.aborted) {
    const ask = askOf({ node: name, labels });
    let lease: Lease | null = await store.lease(ask, { ms: 60_000, signal: over });
    if (!lease) continue;
    // The reply was lost: the same token answers the same lease.
    if (dice() < 0.05) lease = await store.lease(ask);
    if (!lease) throw new Error("a lease was not repeated");
    const { lane } = lease.task;
    ledger.begin(lane);
    await work(dice);
    if (dice() < 0.1) await store.renew(name, [heldOf(lease)]);
    ledger.end(lane);
    if (dice() < 0.03) continue; // killed: what it held is taken back when it asks again
    const state = dice() < 0.03 ? "queued" : "succeeded";
    if ((await store.finish(resultOf(heldOf(lease), state, { mesh_node_id: name }))) !== "ok") throw new Error("stale");
    if (state === "succeeded") ended();
  }
}

/** Takes a lock from outside again and again. */
async function hostedCi(store: Store, lock: keyof typeof locks, { ledger, dice, over }: Yard): Promise<void> {
  while (!over.aborted) {
    const token = crypto.randomUUID();
    const ask = { lock, token, node: "hosted", ttl_ms: 60_000 };
    let held = false;
    while (!over.aborted && !(held = await store.hold(ask))) await work(dice);
    if (held) {
      ledger.hold(lock);
      await work(dice);
      ledger.unhold(lock);
    }
    await store.unhold(token);
    await work(dice);
  }
}

async function simulate(stores: Store[], seed: number): Promise<Ledger> {
  const [first] = stores;
  if (!first) throw new Error("no store");
  await first.publish(rules);
  const dice = diceOf(seed);
  const ledger = new Ledger();
  const over = new AbortController();
  let left = taskCount;
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  const yard: Yard = { ledger, dice, over: over.signal, ended: () => --left === 0 && resolve() };
  const storeOf = (i: number) => stores[i % stores.length] ?? first;
  const hands = [
    ...Array.from({ length: nodeCount }, (_, i) => node(storeOf(i), `mac-${i}`, yard)),
    hostedCi(first, "signing", yard),
    hostedCi(storeOf(1), "simulator", yard),
  ];
  for (const hand of hands) hand.catch(reject);
  const names = Object.keys(lanes);
  for (let i = 0; i < taskCount; i++) {
    const lane = names[Math.floor(dice() * names.length)] ?? "any";
    await first.accept({ task: taskOf({ lane, issue_key: `MOB-${i}` }), marks: [], seen_at: seenAt });
  }
  await done;
  over.abort();
  await Promise.all(hands);
  return ledger;
}

const opened: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of opened.toReversed()) await close();
});

async function sqlite(): Promise<Store[]> {
  const dir = mkdtempSync(join(tmpdir(), "meshmac-pool-"));
  const store = await openSqlite({ path: join(dir, "meshmac.db"), state_dir: dir });
  opened.push(async () => {
    await store.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return [store];
}

async function redis(): Promise<Store[]> {
  const server = await startRedis();
  opened.push(() => server.stop());
  const stores = await Promise.all(Array.from({ length: 5 }, () => openRedis({ url: server.url, pool: "acme" })));
  opened.push(async () => void (await Promise.all(stores.map((store) => store.close()))));
  return stores;
}

describe(`${nodeCount} nodes, ${taskCount} tasks`, () => {
  test.each([
    ["sqlite", sqlite],
    ["redis", redis],
  ])(
    "on %s: no limit is exceeded at any instant, and all are done",
    async (_name, open) => {
      const stores = await open();
      const ledger = await simulate(stores, 20_261_121);
      expect(ledger.exceeded).toEqual([]);
      // Much went on at the same time, so that they could have been exceeded.
      for (const name of ["lock signing", "lock simulator", "lane docs"]) expect(ledger.peak[name]).toBeGreaterThan(1);
      const left = await stores[0]?.list({ states: ["queued", "running", "failed", "cancelled", "dead"], limit: 10 });
      expect(left?.runs).toEqual([]);
      const after = await stores[0]?.lanes();
      expect(after?.lanes.map(({ depth, running }) => depth + running)).toEqual([0, 0, 0, 0, 0]);
      expect(after?.locks.map(({ lock, held }) => [lock, held])).toEqual([
        ["signing", []],
        ["simulator", []],
      ]);
    },
    patience,
  );
});
