import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Candidate, nextTurn } from "../../src/core/turn.ts";

const minute = 60_000;
const never = () => 0;

const run = (lane: string, priority: number, queued_at: number, seq = queued_at): Candidate => ({
  lane,
  priority,
  queued_at,
  seq,
});

describe("whose turn it is", () => {
  test.each([
    ["nobody's where nothing waits", [], undefined],
    ["the higher priority's", [run("low", 0, 0), run("high", 1, minute - 1)], "high"],
    ["the longer waiting's, when a minute outweighs a step", [run("low", 0, 0), run("high", 1, minute + 1)], "low"],
    ["the earlier accepted's, when they weigh the same", [run("high", 1, minute, 2), run("low", 0, 0, 1)], "low"],
    ["the longest waiting's among equals", [run("b", 0, 2), run("a", 0, 1)], "a"],
  ] as const)("%s", (_what, candidates, lane) => {
    expect(nextTurn(candidates, never)?.lane).toBe(lane as string);
  });

  test("goes round among equals: the lane whose last turn is longest ago", () => {
    const turns: Record<string, number> = { a: 30, b: 10, c: 20 };
    const all = [run("a", 0, 1), run("b", 0, 2), run("c", 0, 3)];
    expect(nextTurn(all, (lane) => turns[lane] ?? 0)?.lane).toBe("b");
    // One that has only just come has not waited for its turn.
    expect(nextTurn([...all, run("d", 0, 25)], (lane) => turns[lane] ?? 0)?.lane).toBe("b");
    expect(nextTurn([run("a", 0, 1), run("d", 0, 25)], (lane) => turns[lane] ?? 0)?.lane).toBe("d");
  });
});

interface Arrival {
  at: number;
  lane: number;
}

const priorities = [0, 0, 0, 5, 5, 12];

type Started = Candidate & { started_at: number };

/** Starts one run per `pace` ms with a moved clock until everything that arrives has had its turn; answers the order. */
function startAll(arrivals: Arrival[], pace: number): Started[] {
  const coming = arrivals
    .toSorted((a, b) => a.at - b.at)
    .map(({ at, lane }, seq) => run(String(lane), priorities[lane] ?? 0, at, seq));
  const turns = new Map<string, number>();
  const waiting: Candidate[] = [];
  const order: Started[] = [];
  for (let now = 0; order.length < arrivals.length; now += pace) {
    while (coming[0] && coming[0].queued_at <= now) waiting.push(coming.shift() as Candidate);
    const heads = [...new Map(waiting.toReversed().map((one) => [one.lane, one])).values()];
    const next = nextTurn(heads, (lane) => turns.get(lane) ?? 0);
    if (!next) continue;
    waiting.splice(waiting.indexOf(next), 1);
    turns.set(next.lane, now + 1);
    order.push({ ...next, started_at: now });
  }
  return order;
}

const due = ({ queued_at, priority }: Candidate): number => queued_at - priority * minute;
const equals = (priority: number): number => priorities.filter((one) => one === priority).length;

/** How many runs may be started before this one, as docs/lanes.md says. */
const bound = (one: Candidate, all: Candidate[]): number => {
  const before = all.filter((other) => due(other) <= due(one));
  return before.reduce((sum, other) => sum + equals(other.priority), 0);
};

describe("nothing starves", () => {
  const arrival = fc.record({ at: fc.nat({ max: 40 * minute }), lane: fc.nat({ max: priorities.length - 1 }) });

  test("no run waits for more than those with an older claim, and one turn of each equal lane per such run", () => {
    fc.assert(
      fc.property(
        fc.array(arrival, { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1000, max: 3 * minute }),
        (arrivals, pace) => {
          const order = startAll(arrivals, pace);
          for (const [i, one] of order.entries()) {
            const meanwhile = order.slice(0, i).filter(({ started_at }) => started_at >= one.queued_at);
            expect(meanwhile.length).toBeLessThanOrEqual(bound(one, order));
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test("a flood of urgent runs goes before a patient one for the minutes that lie between them, and no longer", () => {
    const flood = Array.from({ length: 60 }, (_, i) => ({ at: i * minute, lane: 5 }));
    const order = startAll([{ at: 0, lane: 0 }, ...flood], minute);
    expect(order.findIndex(({ lane }) => lane === "0")).toBeWithin(11, 14);
  });

  test("a flood of one lane leaves every second turn to its equal", () => {
    const flood = Array.from({ length: 20 }, () => ({ at: 0, lane: 0 }));
    const drip = Array.from({ length: 5 }, () => ({ at: 30_000, lane: 1 }));
    const order = startAll([...flood, ...drip], minute).map(({ lane }) => lane);
    expect(order.slice(0, 11).filter((lane) => lane === "1")).toHaveLength(5);
  });
});
