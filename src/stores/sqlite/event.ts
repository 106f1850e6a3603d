import type { Report, RunState } from "../../core/records.ts";
import type { Expansion, StoreEvent } from "../store.ts";
import type { Inside } from "./inside.ts";

interface EventRow {
  id: number;
  subject: string;
  seq: number;
  state: RunState;
  at: number;
  node: string | null;
  attempt: number;
  lost: number;
  reason: string | null;
  started_at: number | null;
  result: string | null;
  report: string | null;
  task: string | null;
}

/** Makes the verbs around events: `events`, `expand` and `report`, whose states are events too. */
export function telling({ db, now, events: told, posts: made }: Inside) {
  const oldest = db.prepare<EventRow, [number]>(`
    SELECT event.*, run.task FROM event LEFT JOIN run ON event.report IS NULL AND run.run_id = event.subject ORDER BY event.id LIMIT ?`);
  const remove = db.prepare<{ id: number }, [string]>(
    "DELETE FROM event WHERE id IN (SELECT value FROM json_each(?)) RETURNING id",
  );
  const addPost = db.prepare<null, [string, string, string, number, string, string, number, number, number]>(`
    INSERT INTO post (post_key, subject, destination, seq, state, announcement, status, due_at, created_at, at)
    VALUES (?, ?, ?, ?, ?, ?, 'waiting', ?, ?, ?) ON CONFLICT (post_key) DO NOTHING`);
  const lastReport = db.prepare<{ seq: number | null }, [string]>(
    "SELECT max(seq) AS seq FROM report WHERE subject = ?",
  );
  const addReport = db.prepare<null, [string, string, number, number]>(
    "INSERT INTO report (subject, state, seq, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
  );
  const addEvent = db.prepare<null, [string, number, string, number, string | null, string]>(
    "INSERT INTO event (subject, seq, state, at, node, attempt, lost, report) VALUES (?, ?, ?, ?, ?, 0, 0, ?)",
  );

  const unheard = `
    SELECT id FROM (SELECT id, state, report FROM event ORDER BY id LIMIT ?)
    WHERE report IS NULL AND state NOT IN (SELECT value FROM json_each(?))`;
  const anyUnheard = db.prepare<{ id: number }, [number, string]>(`${unheard} LIMIT 1`);
  const dropUnheard = db.prepare<null, [number, string]>(`DELETE FROM event WHERE id IN (${unheard})`);

  return {
    events: (limit: number): StoreEvent[] => oldest.all(limit).map(eventOf),

    /** Whether among the oldest is an event that nobody hears; then `forget` has something to do. */
    isForgettable: (limit: number, heard: RunState[]): boolean => anyUnheard.get(limit, JSON.stringify(heard)) !== null,

    /** Deletes what nobody hears among the oldest events; answers how many went. */
    forget: (limit: number, heard: RunState[]): number => dropUnheard.run(limit, JSON.stringify(heard)).changes,

    expand(expansions: Expansion[]): boolean[] {
      const ids = expansions.map(({ event }) => Number(event.id));
      const first = new Set(remove.all(JSON.stringify(ids)).map(({ id }) => id));
      const time = now();
      let any = false;
      for (const [n, { event, posts }] of expansions.entries()) {
        if (!first.has(ids[n] ?? 0)) continue;
        for (const { key, destination, announcement } of posts) {
          const json = JSON.stringify(announcement);
          addPost.run(key, event.subject, destination, event.seq, event.state, json, time, time, time);
          any = true;
        }
      }
      if (any) made.ring();
      return expansions.map((_, n) => first.has(ids[n] ?? 0));
    },

    report(report: Report): "new" | "seen" {
      const subject = `${report.source}/${report.provider_run_id}`;
      const seq = (lastReport.get(subject)?.seq ?? 0) + 1;
      if (addReport.run(subject, report.state, seq, now()).changes === 0) return "seen";
      addEvent.run(subject, seq, report.state, now(), report.mesh_node_id, JSON.stringify(report));
      told.ring();
      return "new";
    },
  };
}

/** The task is parsed when somebody reads it: a state that nobody wants to hear costs no more than its row. */
const eventOf = ({ id, task, report, result, ...row }: EventRow): StoreEvent => ({
  ...row,
  id: String(id),
  get task() {
    return task === null ? null : JSON.parse(task);
  },
  report: report === null ? null : JSON.parse(report),
  result: result === null ? null : JSON.parse(result),
});
