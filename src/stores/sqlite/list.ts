import { waitsUntil } from "../../core/debounce.ts";
import { isOver, runStates, type Result, type Run, type RunState, type Task } from "../../core/records.ts";
import { seqOf } from "../cursor.ts";
import { mostMeant, severalRuns } from "../several.ts";
import type { Filter, PostRow, Shown } from "../store.ts";
import { type Inside, locksIn } from "./inside.ts";

interface RunRow {
  seq: number;
  run_id: string;
  state: RunState;
  reason: string | null;
  task: string;
  node: string | null;
  attempt: number;
  lost: number;
  cancel: string | null;
  result: string | null;
  retry_of: string | null;
  queued_at: number;
  started_at: number | null;
  ended_at: number | null;
  lock_wait: number;
  lock_since: number | null;
  not_before: number | null;
  locks: string | null;
}

interface PostStatusRow extends Omit<PostRow, "unsure"> {
  unsure: number;
}

const columns =
  "seq, run_id, state, reason, task, node, attempt, lost, cancel, result, retry_of, queued_at, started_at, ended_at, lock_wait, lock_since, not_before, locks";
const longestPage = 1000;
const shortestEnding = 4;

/** Makes the verbs that read runs and what was told: `list`, `show` and `posts`. */
export function listing(inside: Inside) {
  const { db, now } = inside;
  const byId = db.prepare<RunRow, [string]>(`SELECT ${columns} FROM run WHERE run_id = ?`);
  const byEnding = db.prepare<{ run_id: string }, [number, string, number]>(
    "SELECT run_id FROM run WHERE substr(run_id, -?) = ? LIMIT ?",
  );
  const postsOf = db.prepare<PostStatusRow, [string]>(
    "SELECT destination, state, status, tries, unsure, why, at FROM post WHERE subject = ? ORDER BY seq, destination",
  );
  const hasEvent = db.prepare<{ yes: number }, [string]>(
    "SELECT EXISTS (SELECT 1 FROM event WHERE subject = ?) AS yes",
  );

  const rowsOf = (subject: string): PostRow[] =>
    postsOf.all(subject).map((post) => ({ ...post, unsure: post.unsure === 1 }));

  function find(id: string): RunRow | null {
    const exact = byId.get(id);
    if (exact || id.length < shortestEnding) return exact;
    const matches = byEnding.all(id.length, id, mostMeant);
    if (matches.length > 1)
      throw severalRuns(
        id,
        matches.map(({ run_id }) => run_id),
      );
    return matches[0] ? byId.get(matches[0].run_id) : null;
  }

  return {
    list(filter: Filter): { runs: Run[]; next: string | null } {
      const limit = Math.min(Math.max(1, filter.limit), longestPage);
      const { where, values } = conditions(filter);
      // One more than the page, to know whether another follows.
      const sql = `SELECT ${columns} FROM run ${where} ORDER BY seq DESC LIMIT ${limit + 1}`;
      const rows = db.query<RunRow, (string | number)[]>(sql).all(...values);
      const page = rows.slice(0, limit);
      return {
        runs: page.map((row) => runOf(row, now())),
        next: rows.length > limit ? String(page.at(-1)?.seq) : null,
      };
    },

    show(id: string): Shown | null {
      const row = find(id);
      if (!row) return null;
      return {
        run: runOf(row, now()),
        task: taskOf(row),
        result: resultOf(row),
        posts: rowsOf(row.run_id),
        cancel: row.cancel,
        locks: row.state === "running" ? locksIn(row.locks) : [],
        lock_wait_ms: row.lock_wait + (row.lock_since === null ? 0 : (row.ended_at ?? now()) - row.lock_since),
      };
    },

    posts: (subject: string): PostRow[] | null => (hasEvent.get(subject)?.yes === 1 ? null : rowsOf(subject)),
  };
}

function conditions({ states, lane, source, issue_key, node, since, dropped, cursor }: Filter) {
  const terms: string[] = [];
  const values: (string | number)[] = [];
  const term = (sql: string, ...given: (string | number)[]) => {
    terms.push(sql);
    values.push(...given);
  };
  if (states) term(inStates(states));
  if (lane !== undefined) term("lane = ?", lane);
  if (source !== undefined) term("source = ?", source);
  if (issue_key !== undefined) term("issue_key = ?", issue_key);
  if (node !== undefined) term("node = ?", node);
  if (since !== undefined) term("queued_at >= ?", since);
  if (dropped !== undefined) term(`dropped_at IS ${dropped ? "NOT " : ""}NULL`);
  if (cursor !== undefined) term("seq < ?", seqOf(cursor));
  return { where: terms.length === 0 ? "" : `WHERE ${terms.join(" AND ")}`, values };
}

/** The states as literals, for the indices are partial: SQLite uses them where it sees what they hold. */
function inStates(states: RunState[]): string {
  const known = runStates.filter((state) => states.includes(state));
  const over = known.filter(isOver);
  const live = known.filter((state) => !isOver(state));
  const ended = `state IN (${over.map((state) => `'${state}'`).join(", ")}) AND ended_at IS NOT NULL`;
  if (live.length === 0) return ended;
  const rows = live.map((state) => `SELECT seq FROM run INDEXED BY ${indexOf[state]} WHERE state = '${state}'`);
  return `(seq IN (${rows.join(" UNION ALL ")}) OR ${ended})`;
}

const indexOf = { queued: "run_waiting", running: "run_leased" };

const reasonOf = ({ state, not_before, reason }: RunRow, time: number): string | null =>
  state === "queued" && not_before !== null && not_before > time ? waitsUntil(not_before) : reason;

const taskOf = ({ task }: RunRow): Task => JSON.parse(task);
const resultOf = ({ result }: RunRow): Result | null => (result === null ? null : JSON.parse(result));

function runOf(row: RunRow, time: number): Run {
  const task = taskOf(row);
  const result = resultOf(row);
  return {
    run_id: row.run_id,
    state: row.state,
    reason: reasonOf(row, time),
    source: task.source,
    issue_key: task.issue_key,
    project: task.project,
    summary: task.summary,
    requested_by: task.requested_by,
    lane: task.lane,
    script: task.script,
    repo_url: task.repo_url,
    ref: task.ref,
    node: row.node,
    attempt: row.attempt,
    lost: row.lost,
    queued_at: row.queued_at,
    started_at: row.started_at,
    ended_at: row.ended_at,
    exit_code: result?.exit_code ?? null,
    commit: result?.commit ?? null,
    failing_target: result?.failing_target ?? null,
    run_url: result?.run_url ?? null,
    retry_of: row.retry_of,
  };
}
