import { expect, test } from "bun:test";
import type { Destinations } from "../../src/gateway/destinations.ts";
import { diceOf, stores, survive } from "./gateways.ts";
import { destinationAt, faultsOf, openWall } from "./wall.ts";

// What must hold whatever fails: chats by the dice, and gateways that vanish between any two steps. `CHAOS_RUNS=500` for more.

const count = Number(process.env.CHAOS_RUNS ?? 60);
const seed = Number(process.env.CHAOS_SEED ?? 20_261_121);

test.each(stores)(
  "%s: every end is told, in order, and twice only where the house says that it may be",
  async (name, open) => {
    const dice = diceOf(seed);
    const { store, close } = await open();
    const walls = (["posts", "edits", "idempotent"] as const).map((skill) => openWall(skill, dice, count * 200));
    const destinations: Destinations = new Map(walls.map(destinationAt).map((one) => [one.name, one]));
    try {
      const { ends, deaths } = await survive(store, destinations, { count, dice });
      expect(deaths).toBeGreaterThan(count / 6);
      const unsure = new Set<string>();
      for (const run_id of ends.keys()) {
        for (const post of (await store.posts(run_id)) ?? []) {
          if (post.unsure) unsure.add(`${post.destination} ${run_id} ${post.state}`);
          expect(post.status).toBeOneOf(["sent", "replaced"]);
        }
      }
      const runs = new Map([...ends].map(([run_id, { state }]) => [run_id, state]));
      const faults = walls.flatMap((wall) =>
        faultsOf(wall, runs, (subject, state) => unsure.has(`chat:${wall.skill} ${subject} ${state}`)),
      );
      expect([`${name}, seed ${seed}`, ...faults]).toEqual([`${name}, seed ${seed}`]);
    } finally {
      for (const wall of walls) wall.close();
      await close();
    }
  },
  60_000 + count * 1000,
);
