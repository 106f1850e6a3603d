import { type Mark, type Task, withdrawn } from "../../core/records.ts";
import type { Accepted, Entry } from "../store.ts";
import { laneOf, type Inside } from "./inside.ts";
import { type Debounced, saysTheSame, type Waiting, type WaitingRun } from "./later.ts";
import type { Changes } from "./run.ts";

// A mark outlives its window by a day: a sender's clock, or ours, may be wrong by that much.
const markGrace = 86_400_000;

/** Makes the verb `accept`: marks, run and event appear in one step or not at all. */
export function accepting(inside: Inside, { tell, end, drop }: Changes, { waitingOf, delay, replace }: Waiting) {
  const { db, now, work } = inside;
  const known = db.prepare<{ found: 1 }, [string]>("SELECT 1 AS found FROM run WHERE run_id = ?");
  const insert = db.prepare<null, [string, string, string, string, string, string, string | null, number]>(`
    INSERT INTO run (run_id, state, lane, line, source, issue_key, task, retry_of, told, queued_at)
    VALUES (?, 'queued', ?, ?, ?, ?, ?, ?, 1, ?)`);
  // An issue that was dragged out and comes in again wants its build, although its intent was seen.
  const readMark = db.prepare<{ run_id: string; first_seen: number; withdrawn: 0 | 1 }, [string, Uint8Array]>(`
    SELECT run_id, first_seen, EXISTS (SELECT 1 FROM run WHERE run.run_id = mark.run_id AND state = 'cancelled'
      AND instr(reason, ?) = 1) AS withdrawn FROM mark WHERE mark = ?`);
  const setMark = db.prepare<null, [Uint8Array, string, number, number]>(`
    INSERT INTO mark (mark, run_id, first_seen, keep_until) VALUES (?, ?, ?, ?)
    ON CONFLICT (mark) DO UPDATE SET run_id = excluded.run_id, first_seen = excluded.first_seen, keep_until = excluded.keep_until`);
  const previous = db.prepare<{ seq: number; state: string }, [string, string, string, number]>(`
    SELECT seq, state FROM run WHERE source = ? AND issue_key = ? AND lane = ? AND state IN ('queued', 'running') AND seq < ?`);
  const ask = db.prepare<null, [string, number]>("UPDATE run SET cancel = coalesce(cancel, ?) WHERE seq = ?");

  const forget = db.prepare<null, [Uint8Array, string]>("DELETE FROM mark WHERE mark = ? AND run_id = ?");

  /** `outdone` is the run that waits for a later move, where this is one: its intent makes no duplicate. */
  const sighting = (marks: Mark[], seen_at: number, outdone: WaitingRun | null) =>
    marks.map((mark) => {
      const digest = digestOf(mark.key);
      const before = mark.only === "leave" ? null : readMark.get(withdrawn, digest);
      const stands = before && (mark.key.startsWith("d/") || !(before.withdrawn || before.run_id === outdone?.run_id));
      const valid = stands && Math.abs(seen_at - before.first_seen) < mark.window_ms ? before : null;
      return { mark, digest, run_id: valid?.run_id ?? null };
    });

  const remember = (digest: Uint8Array, run_id: string, seen_at: number, window_ms: number) =>
    setMark.run(digest, run_id, seen_at, now() + window_ms + markGrace);

  /** Ends or asks to end what was queued of the issue before, where the lane wants that. */
  function cancelPrevious({ run_id, source, issue_key, lane }: Task, seq: number): void {
    if (!laneOf(inside.rules, lane).cancel_previous || issue_key === "") return;
    const why = `newer run ${run_id}`;
    for (const mate of previous.all(source, issue_key, lane, seq)) {
      ask.run(why, mate.seq);
      if (mate.state === "queued") end(mate.seq, { state: "cancelled", reason: why });
    }
  }

  /** A move that comes while the one before it waits takes its place, and is found under its run from then on. */
  function takePlace(run: WaitingRun, entry: Debounced): Accepted {
    const { task, marks, seen_at } = entry;
    const { run_id } = run;
    for (const key of replace(run, entry)) forget.run(digestOf(key), run_id);
    for (const mark of marks) {
      const digest = digestOf(mark.key);
      // An intent is not renewed: its window counts from first sight.
      if (mark.only !== "look" && readMark.get(withdrawn, digest)?.run_id !== run_id)
        remember(digest, run_id, seen_at, mark.window_ms);
    }
    remember(digestOf(`a/${task.run_id}`), run_id, seen_at, 0);
    cancelPrevious({ ...task, run_id }, run.seq);
    return { status: "queued", run_id };
  }

  return function accept(entry: Entry): Accepted {
    const { task, marks, seen_at, retry_of, debounce } = entry;
    const { run_id, source, issue_key } = task;
    if (known.get(run_id)) return { status: "queued", run_id };
    const into = debounce && readMark.get(withdrawn, digestOf(`a/${run_id}`));
    if (into) return { status: "queued", run_id: into.run_id };

    const waits = debounce ? waitingOf(source, issue_key) : null;
    const sightings = sighting(marks, seen_at, waits && !saysTheSame(waits, task) ? waits : null);
    const first = sightings.find((one) => one.run_id !== null)?.run_id;
    if (first) {
      // Its own late retry must find this delivery again. An intent is not renewed: its window counts from first sight.
      for (const { mark, digest, run_id: of } of sightings) {
        if (of === null && mark.key.startsWith("d/")) remember(digest, first, seen_at, mark.window_ms);
      }
      return { status: "duplicate", run_id: first };
    }

    if (waits && debounce) return takePlace(waits, { ...entry, debounce });

    const line = `${task.lane}/${task.script}`;
    const json = JSON.stringify(task);
    const added = insert.run(run_id, task.lane, line, source, issue_key, json, retry_of ?? null, now());
    const seq = Number(added.lastInsertRowid);
    tell(seq);
    for (const { mark, digest } of sightings) {
      if (mark.only !== "look") remember(digest, run_id, seen_at, mark.window_ms);
    }
    if (retry_of) drop(retry_of);
    if (debounce && debounce.wait_ms > 0) delay(seq, { ...entry, debounce });
    cancelPrevious(task, seq);
    work.ring();
    return { status: "queued", run_id };
  };
}

/** Sixteen bytes of SHA-256: nobody finds two keys of one digest, and the table stays small. */
function digestOf(key: string): Uint8Array {
  const digest = new Uint8Array(32);
  Bun.SHA256.hash(key, digest);
  return digest.subarray(0, 16);
}
