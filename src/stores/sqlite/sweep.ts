import type { Logs } from "../logs.ts";
import type { Inside } from "./inside.ts";

// So many rows per step: between two steps the doors are served.
const rowsPerStep = 200;
// A receipt tells a repeat for at least an hour, however little is kept; a day leaves room.
const shortestReceipt = 86_400_000;
// A gateway that has not beaten for so long was taken away, or has another name by now.
const silentFor = 86_400_000;

/** Makes the verb `sweep`: what is over, told and older than `keep` goes, a little at a time. */
export function sweeping(inside: Inside, logs: Logs) {
  const { db, now, commit } = inside;
  const old = db.prepare<{ seq: number; run_id: string }, [number, number]>(`
    SELECT seq, run_id FROM run INDEXED BY run_over WHERE ended_at <= ?
      AND run_id NOT IN (SELECT subject FROM event)
      AND NOT EXISTS (SELECT 1 FROM post WHERE subject = run_id AND status IN ('waiting', 'sending')) LIMIT ?`);
  const dropRun = db.prepare<null, [number]>("DELETE FROM run WHERE seq = ?");
  const dropPosts = db.prepare<null, [string]>("DELETE FROM post WHERE subject = ?");
  const dropThreads = db.prepare<null, [string]>("DELETE FROM thread WHERE subject = ?");
  const oldReports = db.prepare<{ subject: string }, [number, number]>(`
    SELECT subject FROM report GROUP BY subject HAVING max(at) <= ?
      AND subject NOT IN (SELECT subject FROM event)
      AND NOT EXISTS (SELECT 1 FROM post WHERE post.subject = report.subject AND status IN ('waiting', 'sending')) LIMIT ?`);
  const dropReport = db.prepare<null, [string]>("DELETE FROM report WHERE subject = ?");
  const marksAfter = db.prepare<{ mark: Uint8Array; keep_until: number }, [Uint8Array, number]>(
    "SELECT mark, keep_until FROM mark WHERE mark > ? ORDER BY mark LIMIT ?",
  );
  const dropMark = db.prepare<null, [Uint8Array]>("DELETE FROM mark WHERE mark = ?");
  const dropFormer = db.prepare<null, [number]>("DELETE FROM former WHERE until <= ?");
  const dropGateways = db.prepare<null, [number]>("DELETE FROM gateway WHERE last_seen < ?");
  const isOpen = db.prepare<{ found: 1 }, [string]>(
    "SELECT 1 AS found FROM run WHERE run_id = ? AND state IN ('queued', 'running')",
  );

  const forget = (subject: string): void => {
    dropPosts.run(subject);
    dropThreads.run(subject);
  };

  function sweepRuns(): number {
    const runs = old.all(now() - inside.rules.keep.runs_ms, rowsPerStep);
    for (const { seq, run_id } of runs) {
      dropRun.run(seq);
      forget(run_id);
    }
    return runs.length;
  }

  function sweepReports(): number {
    const subjects = oldReports.all(now() - Math.max(inside.rules.keep.runs_ms, shortestReceipt), rowsPerStep);
    for (const { subject } of subjects) {
      dropReport.run(subject);
      forget(subject);
    }
    return subjects.length;
  }

  /** Repeats a step, each in a transaction of its own, until it finds less than it may take. */
  async function inSteps(step: () => number): Promise<number> {
    let total = 0;
    for (;;) {
      const n = await commit(step);
      total += n;
      if (n < rowsPerStep) return total;
    }
  }

  return async function sweep(): Promise<number> {
    const runs = await inSteps(sweepRuns);
    await inSteps(sweepReports);
    await commit(() => dropGateways.run(now() - (inside.rules.keep.gateways_ms ?? silentFor)));
    let last: Uint8Array = new Uint8Array();
    await inSteps(() => {
      const marks = marksAfter.all(last, rowsPerStep);
      for (const { mark, keep_until } of marks) if (keep_until <= now()) dropMark.run(mark);
      last = marks.at(-1)?.mark ?? last;
      return marks.length;
    });
    await commit(() => dropFormer.run(now()));
    const { logs_ms, log_bytes } = inside.rules.keep;
    // Files have the time of their disk, not ours.
    await logs.sweep({ before: Date.now() - logs_ms, bytes: log_bytes }, (run_id) => isOpen.get(run_id) !== null);
    return runs;
  };
}
