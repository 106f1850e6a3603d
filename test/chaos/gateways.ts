import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RunState } from "../../src/core/records.ts";
import { startAnnouncer } from "../../src/gateway/announce.ts";
import { openings } from "../../src/gateway/circuit.ts";
import type { Destinations } from "../../src/gateway/destinations.ts";
import { startSender } from "../../src/gateway/send.ts";
import { sendPost } from "../../src/http.ts";
import { openRedis } from "../../src/stores/redis.ts";
import { openSqlite } from "../../src/stores/sqlite.ts";
import type { Store } from "../../src/stores/store.ts";
import type { Injection } from "../fakes/remote.ts";
import { startRedis } from "../fakes/redis-server.ts";
import { askOf, heldOf, leased, queue, resultOf, rulesOf, until } from "../stores/conformance/given.ts";

// Stores, gateways that vanish between any two steps, and runs to tell of.

export const stores: [name: string, open: () => Promise<{ store: Store; close(): Promise<void> }>][] = [
  [
    "sqlite",
    async () => {
      const dir = mkdtempSync(join(tmpdir(), "meshmac-chaos-"));
      const store = await openSqlite({ path: join(dir, "meshmac.db"), state_dir: dir });
      return { store, close: () => store.close().then(() => rmSync(dir, { recursive: true, force: true })) };
    },
  ],
  [
    "redis",
    async () => {
      const redis = await startRedis();
      const store = await openRedis({ url: redis.url, pool: "chaos" });
      return { store, close: () => store.close().then(() => redis.stop()) };
    },
  ],
];

/** Runs that were taken to their ends, by id: their names and how they ended. */
export type Ends = Map<string, { issue_key: string; state: RunState }>;

/** Takes so many runs to their ends while two gateways tell of them, each of which dies by the dice and is followed by another; answers the ends and how many died. */
export async function survive(
  store: Store,
  destinations: Destinations,
  { count, dice, print }: { count: number; dice: () => number; print?: (line: string) => void },
): Promise<{ ends: Ends; deaths: number }> {
  await store.publish(rulesOf());
  const open = () => openMortal(store, destinations, dice, print);
  const gateways = [open(), open()];
  const ends: Ends = new Map();
  let deaths = 0;
  try {
    const fed = feed(store, ends, { count, dice });
    const over = async () => ends.size === count && (await allTold(store, ends));
    while (!(await over())) {
      await until(async () => gateways.some(({ dead }) => dead()) || (await over()));
      for (const [n, { dead, die }] of gateways.entries()) {
        if (!dead()) continue;
        deaths++;
        die();
        gateways[n] = open();
      }
    }
    await fed;
  } finally {
    for (const gateway of gateways) gateway.die();
  }
  return { ends, deaths };
}

/** Takes runs to their ends, a few at a time. */
async function feed(store: Store, ends: Ends, { count, dice }: { count: number; dice: () => number }): Promise<void> {
  while (ends.size < count) {
    const script = crypto.randomUUID();
    const issue_key = `RUN-${ends.size}`;
    const { run_id } = await queue(store, { script, issue_key });
    const lease = await leased(store, askOf({ node: script, scripts: [script] }));
    const state = dice() < 0.5 ? "failed" : "succeeded";
    if (dice() < 0.5)
      await until(async () => ((await store.posts(run_id)) ?? []).some(({ status }) => status === "sent"));
    await store.finish(resultOf(heldOf(lease), state, { mesh_node_id: script }));
    ends.set(run_id, { issue_key, state });
  }
}

async function allTold(store: Store, ends: Ends): Promise<boolean> {
  if ((await store.events(1)).length > 0) return false;
  for (const run_id of ends.keys()) {
    const posts = await store.posts(run_id);
    if (!posts?.length || posts.some(({ status }) => status === "waiting" || status === "sending")) return false;
  }
  return true;
}

const mask = (text: string): string => text;

interface Mortal {
  dead(): boolean;
  die(): void;
}

/** A gateway that dies by the dice between any two steps: from then on nothing that it asks is asked, and no answer reaches it. */
function openMortal(
  store: Store,
  destinations: Destinations,
  dice: () => number,
  print: (line: string) => void = () => {},
): Mortal {
  let dead = false;
  const never = new Promise<never>(() => {});
  const whileAlive =
    <Asked extends unknown[], Answer>(ask: (...asked: Asked) => Promise<Answer>, hazard = 0.01) =>
    async (...asked: Asked): Promise<Answer> => {
      dead ||= dice() < hazard;
      if (dead) return await never;
      const answer = await ask(...asked);
      dead ||= dice() < hazard;
      return dead ? await never : answer;
    };
  const mortal = {
    events: whileAlive(store.events, 0),
    expand: whileAlive(store.expand),
    claim: whileAlive(store.claim, 0.002),
    settle: whileAlive(store.settle),
    reconsider: whileAlive(store.reconsider, 0),
    stirred: whileAlive(store.stirred, 0),
  };
  const short = { ...openings.failed, open_ms: 30, longest_ms: 200 };
  const announcer = startAnnouncer({ store: mortal, destinations, mask, adminUrl: null });
  const sender = startSender({
    store: mortal,
    destinations,
    mask,
    chance: dice,
    print,
    send: whileAlive(sendPost),
    margin: 100,
    openings: { failed: short, refused: short },
  });
  return {
    dead: () => dead,
    die() {
      dead = true;
      void announcer.stop();
      void sender.stop();
    },
  };
}

/** Numbers in [0, 1) that are the same for the same seed: mulberry32. */
export function diceOf(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What happens to one request: 30 % 5xx, 10 % 429, 10 % taken and the connection reset. */
export function injected(chance: number): Injection {
  if (chance < 0.1) return 500;
  if (chance < 0.2) return 502;
  if (chance < 0.3) return 503;
  if (chance < 0.35) return { status: 429, headers: { "Retry-After": "0.02" } };
  if (chance < 0.4) return 429;
  return chance < 0.5 ? "accept-then-reset" : "normal";
}
