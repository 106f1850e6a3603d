import type { EndState } from "../../core/records.ts";
import { lateLogs_ms } from "../../core/log-bounds.ts";
import { laneOf, type Inside } from "./inside.ts";

/** A running row, as far as its end needs it. */
export interface RunningRow {
  seq: number;
  lane: string;
  lost: number;
  cancel: string | null;
}

export interface Ending {
  state: EndState;
  reason: string | null;
  lost?: number;
  result?: string;
  ended_by?: number;
}

/** What happens to a run, whichever verb brings it about; each new state and its event are one step. */
export function changes(inside: Inside) {
  const { db, now, work, events } = inside;
  const tell = db.prepare<null, [number, number]>(`
    INSERT INTO event (subject, seq, state, at, node, attempt, lost, reason, started_at, result)
    SELECT run_id, told, state, ?, node, attempt, lost, reason, started_at, result FROM run WHERE seq = ?`);
  const toEnd = db.prepare<null, [string, string | null, number | null, string | null, number | null, number, number]>(`
    UPDATE run SET state = ?, reason = ?, lost = coalesce(?, lost), result = coalesce(?, result), ended_by = coalesce(?, ended_by),
      told = told + 1, token = NULL, lease_until = NULL, ended_at = ? WHERE seq = ?`);
  const toQueue = db.prepare<null, [number | null, number | null, number]>(`
    UPDATE run SET state = 'queued', again = 1, lost = coalesce(?, lost), ended_by = coalesce(?, ended_by),
      node = NULL, token = NULL, lease_until = NULL, started_at = NULL WHERE seq = ?`);

  const toFormer = db.prepare<null, [number, number]>(
    "INSERT OR REPLACE INTO former (run_id, attempt, node, until) SELECT run_id, attempt, node, ? FROM run WHERE seq = ? AND node IS NOT NULL",
  );
  const drop = db.prepare<null, [number, string]>(
    "UPDATE run SET dropped_at = coalesce(dropped_at, ?) WHERE run_id = ? AND state = 'dead'",
  );

  const change = {
    /** Writes the event of the state that the row has now. */
    tell(seq: number): void {
      tell.run(now(), seq);
      events.ring();
    },

    end(seq: number, { state, reason, lost, result, ended_by }: Ending): void {
      toEnd.run(state, reason, lost ?? null, result ?? null, ended_by ?? null, now(), seq);
      change.tell(seq);
      work.ring();
    },

    /** Puts a run back in front of its lane. No event: to the outside it is still on its way. */
    requeue(seq: number, { lost, ended_by }: Pick<Ending, "lost" | "ended_by">): void {
      toFormer.run(now() + lateLogs_ms, seq);
      toQueue.run(lost ?? null, ended_by ?? null, seq);
      work.ring();
    },

    /** Marks a dead run as one that nobody has to look at any more; false where it is not dead. */
    drop: (run_id: string): boolean => drop.run(now(), run_id).changes > 0,

    /** Takes back a lease that ran out: the run waits again, unless it was to be cancelled or was lost too often. */
    lose({ seq, lane, cancel, ...before }: RunningRow): void {
      const lost = before.lost + 1;
      if (cancel !== null) change.end(seq, { state: "cancelled", reason: cancel, lost });
      else if (lost < laneOf(inside.rules, lane).max_lost) change.requeue(seq, { lost });
      else change.end(seq, { state: "dead", reason: `lost ${lost} ${lost === 1 ? "time" : "times"}`, lost });
    },
  };
  return change;
}

export type Changes = ReturnType<typeof changes>;
