import type { NodeFacts } from "../../core/records.ts";
import type { Lane, Rules } from "../store.ts";
import { laneOf, type Inside } from "./inside.ts";

/** The first waiting run of one line (a lane and a script). */
interface Head {
  seq: number;
  again: number;
  queued_at: number;
}

/** Makes the choice: which run a node gets next, as its row, or null. */
export function choosing(inside: Inside) {
  const { db, now } = inside;
  const busy = db.prepare<{ lane: string; n: number }, []>(
    "SELECT lane, count(*) AS n FROM run INDEXED BY run_leased WHERE state = 'running' GROUP BY lane",
  );
  // Steps from line to line through the index, however many runs wait in each.
  const lines = db.prepare<{ line: string }, []>(`
    WITH RECURSIVE step (line) AS (
      SELECT min(line) FROM run INDEXED BY run_waiting WHERE state = 'queued'
      UNION ALL SELECT (SELECT min(line) FROM run INDEXED BY run_waiting WHERE state = 'queued' AND line > step.line) FROM step WHERE step.line IS NOT NULL)
    SELECT line FROM step WHERE line IS NOT NULL`);
  // Within a line what came back is the oldest anyway.
  const headOf = db.prepare<Head, [string]>(
    "SELECT seq, again, queued_at FROM run INDEXED BY run_waiting WHERE state = 'queued' AND line = ? ORDER BY seq LIMIT 1",
  );

  return function next(
    { labels, scripts }: Pick<NodeFacts, "labels" | "scripts">,
    paused: (lane: string) => boolean,
  ): number | null {
    const heads = new Map<string, Head>();
    for (const { line } of lines.all()) {
      const cut = line.lastIndexOf("/");
      const lane = line.slice(0, cut);
      if (!scripts.includes(line.slice(cut + 1)) || paused(lane)) continue;
      const head = headOf.get(line);
      const other = heads.get(lane);
      if (head && (!other || comesBefore(head, other))) heads.set(lane, head);
    }
    if (heads.size === 0) return null;

    const { rules } = inside;
    const running = new Map(busy.all().map(({ lane, n }) => [lane, n]));
    const locked = locksHeld(running, rules);
    const time = now();
    let best: { seq: number; rank: number } | null = null;
    for (const [name, head] of heads) {
      const lane = laneOf(rules, name);
      if (!hasLabels(lane, labels) || !hasRoom(lane, running.get(name) ?? 0, locked, rules)) continue;
      // A minute of waiting counts as one step of priority: nothing starves.
      const rank = lane.priority + (time - head.queued_at) / 60_000;
      if (!best || rank > best.rank) best = { seq: head.seq, rank };
    }
    return best?.seq ?? null;
  };
}

const comesBefore = (one: Head, other: Head): boolean =>
  one.again === other.again ? one.seq < other.seq : one.again > other.again;

const hasLabels = ({ needs }: Lane, labels: string[]): boolean =>
  needs.every(
    (need) => need === "*" || (need.startsWith("!") ? !labels.includes(need.slice(1)) : labels.includes(need)),
  );

const hasRoom = ({ limit, locks }: Lane, running: number, locked: Map<string, number>, rules: Rules): boolean =>
  (limit === null || running < limit) && locks.every((lock) => (locked.get(lock) ?? 0) < (rules.locks[lock] ?? 1));

function locksHeld(running: Map<string, number>, rules: Rules): Map<string, number> {
  const held = new Map<string, number>();
  for (const [lane, n] of running) {
    for (const lock of laneOf(rules, lane).locks) held.set(lock, (held.get(lock) ?? 0) + n);
  }
  return held;
}
