import type { NodeFacts } from "../../core/records.ts";
import { type Candidate, claimOf, lockPatience_ms, nextTurn } from "../../core/turn.ts";
import type { Lane } from "../store.ts";
import type { holding, Usage } from "./hold.ts";
import { laneOf, type Inside } from "./inside.ts";

/** The first waiting run of one line (a lane and a script). */
interface Head {
  seq: number;
  again: number;
  queued_at: number;
  lock_since: number | null;
}

interface Waiting extends Candidate, Head {
  locks: string[];
  /** Neither a pause nor the lane's limit keeps it. */
  open: boolean;
}

/** The row that a node gets next, and the locks that its lease takes. */
export type Chosen = Pick<Waiting, "seq" | "locks">;

/** Makes the choice: which run a node gets next, or null. Notes on the way what only a lock keeps waiting. */
export function choosing(inside: Inside, { usage }: Pick<ReturnType<typeof holding>, "usage">) {
  const { db, now } = inside;
  // Steps from line to line through the index, however many runs wait in each.
  const lines = db.prepare<{ line: string }, []>(`
    WITH RECURSIVE step (line) AS (
      SELECT min(line) FROM run INDEXED BY run_waiting WHERE state = 'queued'
      UNION ALL SELECT (SELECT min(line) FROM run INDEXED BY run_waiting WHERE state = 'queued' AND line > step.line) FROM step WHERE step.line IS NOT NULL)
    SELECT line FROM step WHERE line IS NOT NULL`);
  // Within a line what came back is the oldest anyway.
  const headOf = db.prepare<Head, [string, number]>(`
    SELECT seq, again, queued_at, lock_since FROM run INDEXED BY run_waiting
    WHERE state = 'queued' AND line = ? AND (not_before IS NULL OR not_before <= ?) ORDER BY seq LIMIT 1`);
  const beginWait = db.prepare<null, [number, number]>("UPDATE run SET lock_since = ? WHERE seq = ?");
  const endWait = db.prepare<null, [number, number]>(
    "UPDATE run SET lock_wait = lock_wait + ? - lock_since, lock_since = NULL WHERE seq = ?",
  );
  // Kept here alone: whoever opens the file anew begins with the run that has waited longest.
  const turns = new Map<string, number>();
  let lastTurn = 0;

  function headsFor(scripts: string[], time: number): Map<string, Head> {
    const heads = new Map<string, Head>();
    for (const { line } of lines.all()) {
      const cut = line.lastIndexOf("/");
      const lane = line.slice(0, cut);
      if (!scripts.includes(line.slice(cut + 1))) continue;
      const head = headOf.get(line, time);
      const other = heads.get(lane);
      if (head && (!other || comesBefore(head, other))) heads.set(lane, head);
    }
    return heads;
  }

  return function next(
    { labels, scripts }: Pick<NodeFacts, "labels" | "scripts">,
    paused: (lane: string) => boolean,
  ): Chosen | null {
    const time = now();
    const heads = headsFor(scripts, time);
    if (heads.size === 0) return null;
    const used = usage(time);
    const fitting = [...heads].flatMap(([lane, head]): Waiting[] => {
      const rules = laneOf(inside.rules, lane);
      const open = !paused(lane) && hasRoom(rules, used.running(lane));
      return hasLabels(rules, labels) ? [{ lane, ...head, priority: rules.priority, locks: rules.locks, open }] : [];
    });
    const patient: Waiting[] = [];
    const candidates: Waiting[] = [];
    // In the order of their claims: a lock is kept for who has waited for it long enough, against every later claim.
    for (const run of fitting.toSorted((a, b) => claimOf(a) - claimOf(b))) {
      const locked = run.open && !isFree(run, used, patient);
      if (locked && run.lock_since === null) beginWait.run(time, run.seq);
      if (!locked && run.lock_since !== null) endWait.run(time, run.seq);
      if (locked && run.lock_since !== null && time - run.lock_since >= lockPatience_ms) patient.push(run);
      if (run.open && !locked) candidates.push(run);
    }
    const chosen = nextTurn(candidates, (lane) => turns.get(lane) ?? 0);
    if (!chosen) return null;
    // Later than what was queued in this millisecond, and than the turn before.
    lastTurn = Math.max(lastTurn, time) + 1;
    turns.set(chosen.lane, lastTurn);
    return chosen;
  };
}

const comesBefore = (one: Head, other: Head): boolean =>
  one.again === other.again ? one.seq < other.seq : one.again > other.again;

const hasLabels = ({ needs }: Lane, labels: string[]): boolean =>
  needs.every(
    (need) => need === "*" || (need.startsWith("!") ? !labels.includes(need.slice(1)) : labels.includes(need)),
  );

const hasRoom = ({ limit }: Lane, running: number): boolean => limit === null || running < limit;

const isFree = ({ locks, queued_at }: Waiting, used: Usage, patient: Waiting[]): boolean =>
  locks.every((lock) => {
    const kept = patient.filter((other) => other.locks.includes(lock)).length;
    return used.places(lock, queued_at) + kept < used.capacity(lock);
  });
