import { firstMatch, fold, leaves, missPrefix } from "./build-when.ts";
import { canonical, type Intent, intentOf, sha256 } from "./intent.ts";
import { laneFor } from "./lane-table.ts";
import type { Move } from "./move.ts";
import { type Mark, type Task, withdrawn } from "./records.ts";
import { isGoodRef } from "./ref.ts";
import { take } from "./take.ts";
import type { BuildWhen, TaskOptions } from "./wanted.ts";
import { shortLine } from "./words.ts";

/** What a door's configuration says of the tasks it may make; durations in milliseconds. */
export interface DoorRules {
  build_when: BuildWhen[];
  /** What says that an issue is no longer to be built; read where no entry of `build_when` matches. */
  cancel_when?: BuildWhen[] | undefined;
  /** Milliseconds for which a run waits for a later move of its issue. */
  debounce?: number | undefined;
  /** Dotted paths whose values make the transition intent, in place of the default. */
  dedupe_on?: string[] | undefined;
  /** Whether the tracker is also searched: what a search has queued, a late delivery does not queue again. */
  reconciles?: boolean | undefined;
  /** Says what would be built or cancelled, and does nothing. */
  dry_run?: boolean | undefined;
  task?: TaskOptions | undefined;
  dedupe_window: number;
  repos: Record<string, string>;
  lanes: Record<string, { timeout: number }>;
}

/** What the gateway adds to a delivery: who it is from, its ids, and when it was first seen (epoch milliseconds). */
export interface Given {
  source: string;
  run_id: string;
  correlation_id: string;
  seen_at: number;
}

type Building = DoorRules & { task: TaskOptions };

/** `withdraw` names the issue whose queued runs end, for the reason given; `callOff` is why the one ends that waits for a later move. */
export type Decision =
  { task: Task; marks: Mark[] } | { withdraw: string; why: string } | { ignored: string; callOff?: string };

const minute = 60_000;
const bucket = 5 * minute;
// Jira keeps one delivery id over its retries, and Automation may repeat a rule for 7 days.
const deliveryWindow = 8 * 24 * 60 * minute;
const defaultTimeout = 60 * minute;
const longest = { summary: 1000, requestedBy: 200, project: 200, param: 64 * 1024 };

/** Decides what a move asks for: a task with the marks that make a second one a duplicate, or nothing and why in one sentence. */
export function decide(move: Move, door: DoorRules, given: Given): Decision {
  const { task: wanted } = door;
  if (!wanted || door.build_when.length === 0) return { ignored: "this door builds nothing: it has no build_when" };
  const match = firstMatch(door.build_when, move);
  if ("reason" in match) return withdrawal(move, door) ?? unwanted(move, door, match.reason);
  const ref = take(wanted.ref, move);
  if (ref === null || !isGoodRef(ref)) return { ignored: "bad ref" };
  const intent = intentOf(move, match, door.dedupe_on);
  const task = taskOf(move, { ...door, task: wanted }, given, ref, intent);
  if (door.dry_run)
    return { ignored: `dry run: would build ${task.script} of ${shortLine(ref, 100)} on lane ${task.lane}` };
  return { task, marks: marksOf(move, door, given, intent) };
}

/** What a move that asks for no build takes back, if it does. */
function withdrawal(move: Move, { cancel_when, dry_run }: DoorRules): Decision | null {
  if (!cancel_when || cancel_when.length === 0) return null;
  const match = firstMatch(cancel_when, move);
  if ("reason" in match) return null;
  const { shown } = intentOf(move, match);
  if (dry_run) return { ignored: `dry run: would cancel what is queued of ${move.issueKey}` };
  return { withdraw: move.issueKey, why: `${withdrawn}: ${shown}` };
}

/** What asks for no build is ignored; where it says that its issue is not to be built, a run that waits for it ends. */
function unwanted(move: Move, { build_when, debounce, dry_run }: DoorRules, ignored: string): Decision {
  if (debounce === undefined || dry_run || !leaves(build_when, move)) return { ignored };
  return { ignored, callOff: `${withdrawn}: ${ignored.replace(missPrefix, "")}` };
}

function taskOf(move: Move, door: Building, given: Given, ref: string, { shown }: Intent): Task {
  const { script, repo, params, timeout } = door.task;
  const lane = laneFor(door.task.lane, move);
  const timeoutMs = timeout ?? own(door.lanes, lane)?.timeout ?? defaultTimeout;
  return {
    v: 1,
    run_id: given.run_id,
    source: given.source,
    issue_key: move.issueKey,
    issue_id: move.issueId,
    issue_url: move.issueUrl,
    project: shortLine(move.project[0] ?? "", longest.project),
    transition_id: shown,
    summary: shortLine(move.summary, longest.summary),
    requested_by: shortLine(move.requestedBy, longest.requestedBy),
    repo_url: (repo && own(door.repos, repo)) || "",
    ref,
    script,
    lane,
    params: Object.fromEntries(
      Object.entries(params).map(([name, from]) => [name, cut(take(from, move) ?? "", longest.param)]),
    ),
    timeout_s: Math.ceil(timeoutMs / 1000),
    idempotency_key: [given.source, move.issueKey, shown, Math.floor(given.seen_at / bucket)].join(":"),
    correlation_id: given.correlation_id,
    accepted_at: given.seen_at,
  };
}

function marksOf(move: Move, door: DoorRules, { source }: Given, intent: Intent): Mark[] {
  const digest = digestOf(source, move, intent);
  const marks: Mark[] = [{ key: `i/${digest}`, window_ms: door.dedupe_window }];
  if (door.reconciles) marks.push({ key: `r/${digest}`, window_ms: searchedWindow, only: "look" });
  if (move.deliveryId === null) return marks;
  return [{ key: `d/${source}/${shortId(move.deliveryId)}`, window_ms: deliveryWindow }, ...marks];
}

/** For how long a late delivery is a duplicate of the run that a search has queued for the same move, in milliseconds. */
export const searchedWindow = 24 * 60 * minute;

/** Hashes what an intent is about: its source, its issue and its parts. */
export const digestOf = (source: string, { issueKey }: Move, { parts }: Intent): string =>
  sha256(canonical([source, fold(issueKey), ...parts]));

/** The id itself where it is short and plain, so that people find it again; else its hash. */
const shortId = (id: string): string => (/^[\w.:+-]{1,128}$/.test(id) ? id : sha256(id));

const own = <Value>(record: Record<string, Value>, key: string): Value | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined;

const cut = (value: string, most: number): string =>
  value.length <= most ? value : value.slice(0, most).toWellFormed();
