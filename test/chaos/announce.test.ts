import { expect, test } from "bun:test";
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
import { startRedis } from "../fakes/redis-server.ts";
import { askOf, heldOf, leased, queue, resultOf, rulesOf, until } from "../stores/conformance/given.ts";
import { diceOf } from "./dice.ts";
import { destinationAt, faultsOf, openWall } from "./wall.ts";

// What must hold whatever fails: chats by the dice, and gateways that vanish between any two steps. `CHAOS_RUNS=500` for more.

const count = Number(process.env.CHAOS_RUNS ?? 60);
const seed = Number(process.env.CHAOS_SEED ?? 20_261_121);
const deadline = 60_000 + count * 1000;

const stores: [name: string, open: () => Promise<{ store: Store; close(): Promise<void> }>][] = [
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

test.each(stores)(
  "%s: every end is told, in order, and twice only where the house says that it may be",
  async (name, open) => {
    const dice = diceOf(seed);
    const { store, close } = await open();
    await store.publish(rulesOf());
    const walls = (["posts", "edits", "idempotent"] as const).map((skill) => openWall(skill, dice, count * 200));
    const destinations: Destinations = new Map(walls.map(destinationAt).map((one) => [one.name, one]));
    const gateways = [openMortal(store, destinations, dice), openMortal(store, destinations, dice)];
    try {
      const runs = new Map<string, RunState>();
      const fed = feed(store, runs, dice);
      const over = async () => runs.size === count && (await allTold(store, runs));
      let deaths = 0;
      while (!(await over())) {
        await until(async () => gateways.some(({ dead }) => dead()) || (await over()));
        for (const [n, { dead }] of gateways.entries()) {
          if (!dead()) continue;
          deaths++;
          gateways[n]?.die();
          gateways[n] = openMortal(store, destinations, dice);
        }
      }
      await fed;
      expect(deaths).toBeGreaterThan(count / 6);
      const unsure = new Set<string>();
      for (const run_id of runs.keys()) {
        for (const post of (await store.posts(run_id)) ?? []) {
          if (post.unsure) unsure.add(`${post.destination} ${run_id} ${post.state}`);
          expect(post.status).toBeOneOf(["sent", "replaced"]);
        }
      }
      const faults = walls.flatMap((wall) =>
        faultsOf(wall, runs, (subject, state) => unsure.has(`chat:${wall.skill} ${subject} ${state}`)),
      );
      expect([`${name}, seed ${seed}`, ...faults]).toEqual([`${name}, seed ${seed}`]);
    } finally {
      for (const gateway of gateways) gateway.die();
      for (const wall of walls) wall.close();
      await close();
    }
  },
  deadline,
);

/** Takes runs to their ends, a few at a time. */
async function feed(store: Store, runs: Map<string, RunState>, dice: () => number): Promise<void> {
  while (runs.size < count) {
    const script = crypto.randomUUID();
    const { run_id } = await queue(store, { script });
    const lease = await leased(store, askOf({ node: script, scripts: [script] }));
    const state = dice() < 0.5 ? "failed" : "succeeded";
    if (dice() < 0.5)
      await until(async () => ((await store.posts(run_id)) ?? []).some(({ status }) => status === "sent"));
    await store.finish(resultOf(heldOf(lease), state, { mesh_node_id: script }));
    runs.set(run_id, state);
  }
}

async function allTold(store: Store, runs: Map<string, RunState>): Promise<boolean> {
  if ((await store.events(1)).length > 0) return false;
  for (const run_id of runs.keys()) {
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
function openMortal(store: Store, destinations: Destinations, dice: () => number): Mortal {
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
    print: () => {},
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
