import { waitsUntil } from "../../core/debounce.ts";
import type { Result, Run, RunState, Task } from "../../core/records.ts";
import { runStates } from "../../core/records.ts";
import type {
  AlertRow,
  Claimed,
  DestinationRow,
  Held,
  Holder,
  LaneRow,
  LockRow,
  PostRow,
  StoreEvent,
  Unheard,
} from "../store.ts";
import type { Reply } from "./link.ts";

// How Redis' replies read as the house's records. What is parsed here was written by our own scripts; "" stands for null.

type Fields = Partial<Record<string, string>>;

export const list = (reply: Reply | undefined): Reply[] => (Array.isArray(reply) ? reply : []);
export const text = (reply: Reply | undefined): string => (reply === null || reply === undefined ? "" : String(reply));
export const texts = (reply: Reply | undefined): string[] => list(reply).map(text);

/** Reads a hash or a stream entry, that arrives as name, value, name, value … */
export function fields(reply: Reply | undefined): Fields {
  const flat = texts(reply);
  const read: Fields = {};
  for (let i = 0; i < flat.length; i += 2) read[flat[i] ?? ""] = flat[i + 1] ?? "";
  return read;
}

/** Reads `<run> <attempt>`. */
export function held(pair: string): Held {
  const [run_id = "", attempt] = pair.split(" ");
  return { run_id, attempt: Number(attempt) };
}

export function runOf(run_id: string, row: Fields, now: number): Run {
  const task = taskOf(row);
  const result = resultOf(row);
  return {
    run_id,
    state: stateOf(row),
    reason: row.state === "queued" && Number(row.due) > now ? waitsUntil(Number(row.due)) : orNull(row.reason),
    source: task.source,
    issue_key: task.issue_key,
    project: task.project,
    summary: task.summary,
    requested_by: task.requested_by,
    lane: task.lane,
    script: task.script,
    repo_url: task.repo_url,
    ref: task.ref,
    node: orNull(row.node),
    attempt: Number(row.attempt),
    lost: Number(row.lost),
    queued_at: Number(row.queued_at),
    started_at: numberOrNull(row.started_at),
    ended_at: numberOrNull(row.ended_at),
    exit_code: result?.exit_code ?? null,
    commit: result?.commit ?? null,
    failing_target: result?.failing_target ?? null,
    run_url: result?.run_url ?? null,
    retry_of: orNull(row.retry_of),
  };
}

export function taskOf(row: Fields): Task {
  return JSON.parse(row.task ?? "null");
}

export function resultOf(row: Fields): Result | null {
  return JSON.parse(row.result || "null");
}

export function eventOf(reply: Reply): StoreEvent {
  const [id, entry, task] = list(reply);
  const row = fields(entry);
  return {
    id: text(id),
    subject: row.subject ?? "",
    seq: Number(row.seq),
    state: stateOf(row),
    at: Number(row.at),
    task: JSON.parse(text(task) || "null"),
    report: JSON.parse(row.report || "null"),
    node: orNull(row.node),
    attempt: Number(row.attempt ?? 0),
    lost: Number(row.lost ?? 0),
    reason: orNull(row.reason),
    started_at: numberOrNull(row.started_at),
    result: resultOf(row),
  };
}

export function claimedOf(claim: string, key: string, handle: string, row: Fields): Claimed {
  return {
    key,
    claim,
    destination: row.destination ?? "",
    subject: row.subject ?? "",
    seq: Number(row.seq),
    state: stateOf(row),
    announcement: JSON.parse(row.announcement ?? "null"),
    tries: Number(row.tries),
    unsure: row.unsure === "1",
    handle: orNull(handle),
    why: orNull(row.why),
    created_at: Number(row.created_at),
    ...(row.again && { again: row.again }),
  };
}

const statuses = ["waiting", "sending", "sent", "replaced", "dead"] as const;

const statusOf = (status: string | undefined): PostRow["status"] => statuses.find((one) => one === status) ?? "waiting";

export function alertOf(reply: Reply): AlertRow {
  const [key, open, at, opened_with] = list(reply);
  return { key: text(key), open: open === 1, at: Number(at), opened_with: orNull(text(opened_with)) };
}

export function unheardOf(reply: Reply): Unheard {
  const [subject, state, since, announcement, posts] = list(reply);
  return {
    subject: text(subject),
    state: text(state) === "dead" ? "dead" : "failed",
    since: Number(since),
    announcement: JSON.parse(text(announcement) || "null"),
    posts: list(posts)
      .map(texts)
      .map(([destination = "", status, why]) => ({ destination, status: statusOf(status), why: orNull(why) }))
      .toSorted((one, other) => (one.destination < other.destination ? -1 : 1)),
  };
}

export function destinationOf(reply: Reply, now: number): DestinationRow {
  const [name, hash, waiting, sending] = list(reply);
  const row = fields(hash);
  const paused_until = numberOrNull(row.paused_until);
  const paused = paused_until !== null && paused_until > now;
  const open = row.open_until !== undefined;
  return {
    name: text(name),
    paused_until: paused ? paused_until : null,
    failures: Number(row.failures ?? 0),
    circuit: !open ? "closed" : row.probe === undefined ? "open" : "half_open",
    opened_at: numberOrNull(row.opened_at),
    cause: row.cause === "config" || row.cause === "failures" ? row.cause : null,
    why: paused || open ? orNull(row.why) : null,
    waiting: Number(waiting),
    sending: Number(sending),
  };
}

export function laneRowOf(reply: Reply): LaneRow {
  const [lane, rules, depth, running, oldest, paused] = list(reply);
  const { needs = [], priority = 0, limit = null, max_depth = null, locks = [] } = objectOf<Partial<LaneRow>>(rules);
  const [, at, why = ""] = /^(\d+) ([^]*)$/.exec(text(paused)) ?? [];
  return {
    lane: text(lane),
    needs,
    priority,
    limit,
    max_depth,
    locks,
    depth: Number(depth),
    running: Number(running),
    oldest_queued_at: numberOrNull(text(oldest)),
    paused: at === undefined ? null : { why, at: Number(at) },
  };
}

export function lockRowOf(reply: Reply): LockRow {
  const [lock, capacity, holders] = list(reply);
  return {
    lock: text(lock),
    capacity: Number(capacity),
    held: list(holders)
      .map((holder) => holderOf(texts(holder)))
      .toSorted((a, b) => a.since - b.since),
  };
}

const holderOf = ([kind = "", id = "", node = "", since]: string[]): Holder => ({
  ...(kind === "run" ? { run_id: id } : { hold: id }),
  node,
  since: Number(since),
});

export function postOf(row: Fields): PostRow {
  return {
    destination: row.destination ?? "",
    state: stateOf(row),
    status: statusOf(row.status),
    tries: Number(row.tries),
    unsure: row.unsure === "1",
    why: orNull(row.why),
    at: Number(row.at),
  };
}

/** Parses an object that one of us wrote as JSON. */
export function objectOf<T extends object>(reply: Reply | undefined): T {
  return JSON.parse(text(reply) || "{}");
}

const stateOf = (row: Fields): RunState => runStates.find((state) => state === row.state) ?? "queued";
export const orNull = (value: string | undefined): string | null => value || null;
const numberOrNull = (value: string | undefined): number | null => (value ? Number(value) : null);
