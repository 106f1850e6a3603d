import type { Holder, LaneRow, Lanes, LockRow, Pause } from "../store.ts";
import type { holding } from "./hold.ts";
import { capacityOf, type Inside, laneOf, locksIn } from "./inside.ts";

interface LineRow {
  line: string;
  depth: number;
}

interface RunningRow {
  run_id: string;
  lane: string;
  node: string;
  started_at: number;
  locks: string;
}

/** Makes the verb `lanes`. */
export function surveying(
  inside: Inside,
  { outside }: Pick<ReturnType<typeof holding>, "outside">,
  pauses: () => Record<string, Pause>,
) {
  const { db } = inside;
  const lines = db.prepare<LineRow, []>(
    "SELECT line, count(*) AS depth FROM run INDEXED BY run_waiting WHERE state = 'queued' GROUP BY line",
  );
  // In the order of the index the first is the oldest.
  const oldest = db.prepare<{ queued_at: number }, [string]>(
    "SELECT queued_at FROM run INDEXED BY run_waiting WHERE state = 'queued' AND line = ? ORDER BY seq LIMIT 1",
  );
  const running = db.prepare<RunningRow, []>(
    "SELECT run_id, lane, node, started_at, locks FROM run INDEXED BY run_leased WHERE state = 'running' ORDER BY started_at, seq",
  );

  return function lanes(): Lanes {
    const { rules } = inside;
    const waiting = Map.groupBy(lines.all(), ({ line }) => line.slice(0, line.lastIndexOf("/")));
    const leased = running.all().map(({ locks: taken, ...run }) => ({ ...run, locks: locksIn(taken) }));
    const held = Map.groupBy(leased, ({ lane }) => lane);
    const paused = pauses();
    const names = new Set([...Object.keys(rules.lanes), ...waiting.keys(), ...held.keys(), ...Object.keys(paused)]);

    const rowOf = (name: string): LaneRow => {
      const { needs, priority, limit, max_depth, locks } = laneOf(rules, name);
      const queued = waiting.get(name) ?? [];
      const since = queued.map(({ line }) => oldest.get(line)?.queued_at ?? Number.POSITIVE_INFINITY);
      return {
        lane: name,
        needs,
        priority,
        limit,
        max_depth,
        locks,
        depth: queued.reduce((sum, { depth }) => sum + depth, 0),
        running: held.get(name)?.length ?? 0,
        oldest_queued_at: since.length === 0 ? null : Math.min(...since),
        paused: (Object.hasOwn(paused, name) ? paused[name] : undefined) ?? null,
      };
    };

    const lanesByName = [...names].toSorted().map(rowOf);
    const holds = outside();
    const locks = new Set([
      ...Object.keys(rules.locks),
      ...lanesByName.flatMap((lane) => lane.locks),
      ...leased.flatMap((run) => run.locks),
      ...holds.map(({ lock }) => lock),
    ]);
    const lockRow = (lock: string): LockRow => {
      const runs = leased.filter((run) => run.locks.includes(lock));
      const holders: Holder[] = [
        ...runs.map(({ run_id, node, started_at }) => ({ run_id, node, since: started_at })),
        ...holds
          .filter((hold) => hold.lock === lock && hold.held === 1)
          .map(({ token, node, since }) => ({ hold: token, node, since })),
      ];
      return { lock, capacity: capacityOf(rules, lock), held: holders.toSorted((a, b) => a.since - b.since) };
    };
    return { lanes: lanesByName, locks: [...locks].toSorted().map(lockRow) };
  };
}
