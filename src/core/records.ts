import type { Json } from "./json.ts";

// The records of the wire and of the store. Names are snake_case because that is how they travel.

export const runStates = ["queued", "running", "succeeded", "failed", "cancelled", "dead"] as const;
export type RunState = (typeof runStates)[number];

/** The states in which a run is over. */
export const endStates = ["succeeded", "failed", "cancelled", "dead"] as const satisfies RunState[];
export type EndState = (typeof endStates)[number];

export function isOver(state: RunState): state is EndState {
  return state !== "queued" && state !== "running";
}

/** How the reason begins of a run whose issue left the build state while it waited. The same intent may then be queued again. */
export const withdrawn = "issue withdrawn";

/** What is queued: the compact record of the work that one delivery asked for. Times are epoch milliseconds. */
export interface Task {
  v: 1;
  run_id: string;
  source: string;
  issue_key: string;
  issue_id: string;
  issue_url: string | null;
  project: string;
  transition_id: string;
  summary: string;
  requested_by: string;
  repo_url: string;
  ref: string;
  script: string;
  lane: string;
  params: Record<string, string>;
  timeout_s: number;
  idempotency_key: string;
  correlation_id: string;
  accepted_at: number;
}

/** What a worker says of an attempt that ended. `queued` hands the run back without counting it as lost. */
export interface Result {
  run_id: string;
  attempt: number;
  state: "succeeded" | "failed" | "cancelled" | "queued";
  mesh_node_id: string;
  reason: string | null;
  commit: string | null;
  failing_target: string | null;
  summary: string | null;
  run_url: string | null;
  started_at: number;
  finished_at: number;
  exit_code: number | null;
  log_tail: string[];
}

export const reportStates = ["succeeded", "failed", "cancelled"] as const satisfies EndState[];

/** A finished build that somebody else ran: announced, not run. */
export interface Report {
  source: string;
  workflow: string;
  state: (typeof reportStates)[number];
  branch: string;
  commit: string | null;
  run_url: string | null;
  mesh_node_id: string | null;
  provider_run_id: string;
  failing_target: string | null;
  /** The only chats to tell, by name; where unsaid, all that hear such a report. */
  chats?: string[];
}

/** What the store calls a report: its states, its posts and its threads belong to this. */
export const subjectOf = ({ source, provider_run_id }: Pick<Report, "source" | "provider_run_id">): string =>
  `${source}/${provider_run_id}`;

/** What the house decided to say about one state of one run or report, for every chat alike. */
export interface Announcement {
  workflow: string;
  state: RunState;
  branch: string;
  commit: string | null;
  run_url: string | null;
  mesh_node_id: string | null;
  provider_run_id: string;
  source: string;
  issue_key: string | null;
  issue_id: string | null;
  issue_url: string | null;
  summary: string | null;
  requested_by: string | null;
  lane: string | null;
  attempt: number | null;
  failing_target: string | null;
  duration_ms: number | null;
  reason: string | null;
  log_tail: string[];
  idempotency_key: string | null;
  at: number;
}

/** A run as the API and `--json` show it. Times are epoch milliseconds. */
export interface Run {
  run_id: string;
  state: RunState;
  reason: string | null;
  source: string;
  issue_key: string;
  project: string;
  summary: string;
  requested_by: string;
  lane: string;
  script: string;
  repo_url: string;
  ref: string;
  node: string | null;
  attempt: number;
  lost: number;
  queued_at: number;
  started_at: number | null;
  ended_at: number | null;
  exit_code: number | null;
  commit: string | null;
  failing_target: string | null;
  run_url: string | null;
  retry_of: string | null;
}

/** What became of one delivery; the bounded record that `runs ignored` and `explain` read. */
export interface DeliveryNote {
  at: number;
  source: string;
  correlation_id: string;
  outcome: "queued" | "duplicate" | "ignored" | "refused";
  reason: string | null;
  run_id: string | null;
  issue_key: string | null;
}

/** How one gateway has used one value of a secret since it began. Ages instead of times: clocks of machines differ. */
export interface Use {
  secret: string;
  key_id: string;
  /** What the value is to that gateway now: null where it is loaded no longer. */
  role: "current" | "next" | null;
  /** Milliseconds since it was loaded. */
  loaded_ms: number | null;
  count: number;
  /** Of these, how often the other side refused it. */
  refused: number;
  /** Of these, how often the other side was seen to have done what was asked; absent for never. */
  taken?: number | undefined;
  /** Milliseconds since its last use; null where it was never used. */
  idle_ms: number | null;
}

/** What a node says of itself when it asks for work. */
export interface NodeFacts {
  version: string;
  os: string;
  labels: string[];
  scripts: string[];
  /** The SHA-256 of each script as hex, by name; an older worker says none. */
  script_hashes?: Record<string, string>;
  concurrency: number;
  [fact: string]: Json;
}

/** What makes two deliveries the same. */
export interface Mark {
  /** `d/<source>/<delivery id>`, `i/<hash of the intent>`, `r/<the same hash>` where a search has found the move, `p/…` for a canary, or `a/<run_id>` of an entry that went into a waiting run. */
  key: string;
  /** Milliseconds from first sight within which the same mark is a duplicate. */
  window_ms: number;
  /** `look`: it is compared and not left; `leave`: the other way round. Both where unsaid. */
  only?: "look" | "leave";
}

/** A piece of an attempt's log. */
export interface LogSlice {
  bytes: Uint8Array;
  /** Where the next read begins. */
  next: number;
  size: number;
}
