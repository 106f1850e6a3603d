import { expect, test } from "bun:test";
import { Builders, ttl_ms, ways } from "./builders.ts";
import { diceOf } from "./dice.ts";
import { leasedTwice, overlaps, readLedger } from "./ledger.ts";

// What must hold whatever befalls the machines that build: workers killed -9, stopped for longer than their leases, asleep
// with their scripts, cut off by a black hole, clocks that jump by an hour. `./test/run --chaos 1000` kills for more.

const kills = Number(process.env.CHAOS_RUNS ?? 70); // over three ways
const seed = Number(process.env.CHAOS_SEED ?? 20_261_121);

const possible = process.platform === "linux" && Bun.which("setsid") !== null;

// At once: each of them waits most of the time.
(possible ? test.concurrent : test.skip).each(ways)(
  `over %s, ${kills} kills: one lease at a time, no stale result, no orphan, every run ends`,
  async (way) => {
    await using builders = await Builders.open(way, diceOf(seed));
    await builders.endure(kills);

    const ledger = readLedger(builders.ledger);
    expect(overlaps(ledger, builders.unwatched)).toEqual([]);
    const gaveUp = builders.gaveUp.bind(builders);
    const { found, looked } = leasedTwice(builders.leases, ttl_ms, gaveUp);
    expect(found).toEqual([]);

    // Every run ended, and with the result of the attempt that had it last.
    let lost = 0;
    for (const run_id of builders.delivered) {
      const shown = await builders.store.show(run_id);
      const { state, attempt } = shown?.run ?? { state: "unknown", attempt: 0 };
      const { attempt: of, summary } = shown?.result ?? {};
      expect([run_id, state, of, summary]).toEqual([run_id, "succeeded", attempt, `attempt ${attempt}`]);
      const lines = ledger.filter((line) => line.run_id === run_id);
      expect(Math.max(...lines.map((line) => line.attempt))).toBe(attempt);
      expect(lines.filter((line) => line.attempt === attempt && line.what === "end")).toHaveLength(1);
      lost += shown?.run.lost ?? 0;
    }

    expect(builders.orphans).toEqual([]);
    const began = performance.now();
    let left = Infinity;
    while ((left = await builders.leftAnywhere()) > 0 && performance.now() - began < 5000) await Bun.sleep(50);
    expect(left).toBe(0);

    // There was something to survive.
    expect(builders.counts.kill).toBe(kills);
    expect(lost).toBeGreaterThan(0);
    const wall = builders.movesWall ? "" : ", the store's clock not moved: no C compiler here";
    process.stdout.write(`${way}: ${JSON.stringify(tallyOf(builders, { lost, pairs: looked }))}${wall}\n`);
  },
  120_000 + kills * 4000,
);

const tallyOf = (builders: Builders, counted: { lost: number; pairs: number }) => ({
  ...builders.counts,
  runs: builders.delivered.length,
  ...counted,
  starved: builders.unwatched.filter(({ why }) => why === "starved").length,
  fenced: builders.said("attempt lost, its lease could not be renewed"),
  discarded: builders.said("attempt discarded, its lease is another's"),
  orphans_ended: builders.said("orphaned script stopped"),
});
