import { plainLine } from "./plain.ts";
import { type Announcement, isOver, type Report, type Result, type RunState, type Task } from "./records.ts";
import { oneLine, truncate, webLink } from "./text.ts";
import { humanDuration } from "./units.ts";

/** What the store says of a state that changed; one of `task` and `report` is there. */
export interface StateFacts {
  subject: string;
  state: RunState;
  at: number;
  task: Task | null;
  report: Report | null;
  node: string | null;
  attempt: number;
  reason: string | null;
  started_at: number | null;
  result: Result | null;
}

export interface Telling {
  /** Where the pages of runs are, or null where none are reachable. */
  adminUrl: string | null;
  /** Hides secrets in a text. Applied to every text before it is cut. */
  mask: (text: string) => string;
}

/** Makes of a state that changed what every destination may say about it: masked, one line per text, links only http(s). */
export function announcementOf(facts: StateFacts, telling: Telling): Announcement {
  const { task, report, result, state, at } = facts;
  const say = (text: string, limit = 300) => truncate(oneLine(plainLine(telling.mask(text), 4 * limit)), limit);
  const sayIf = (text: string | null | undefined, limit?: number) => (text ? say(text, limit) || null : null);
  const link = (url: string | null | undefined) => webLink(url ? telling.mask(url) : null);
  if (report) {
    return {
      ...nothing,
      workflow: say(report.workflow),
      state,
      branch: say(report.branch),
      commit: sayIf(report.commit),
      run_url: link(report.run_url),
      mesh_node_id: sayIf(report.mesh_node_id),
      provider_run_id: say(report.provider_run_id),
      source: report.source,
      failing_target: sayIf(report.failing_target),
      reason: sayIf(facts.reason),
      at,
    };
  }
  const page = telling.adminUrl === null ? null : `${telling.adminUrl}/runs/${encodeURIComponent(facts.subject)}`;
  return {
    workflow: say(task?.script ?? ""),
    state,
    branch: say(task?.ref ?? ""),
    commit: sayIf(result?.commit),
    run_url: webLink(page) ?? link(result?.run_url),
    mesh_node_id: state === "queued" ? null : sayIf(facts.node ?? result?.mesh_node_id),
    provider_run_id: facts.subject,
    source: task?.source ?? "",
    issue_key: sayIf(task?.issue_key),
    issue_id: sayIf(task?.issue_id),
    issue_url: link(task?.issue_url),
    // The script knows best what came of it ("2 of 311 tests failed"); the issue's title is one click away.
    summary: sayIf(result?.summary ?? task?.summary, 500),
    requested_by: sayIf(task?.requested_by),
    lane: task?.lane ?? null,
    attempt: facts.attempt,
    failing_target: sayIf(result?.failing_target),
    duration_ms: isOver(state) ? durationOf(facts) : null,
    reason: sayIf(facts.reason ?? result?.reason),
    log_tail: isOver(state)
      ? (result?.log_tail ?? []).slice(-20).map((line) => plainLine(telling.mask(line), 1000))
      : [],
    idempotency_key: task?.idempotency_key ?? null,
    at,
  };
}

export const emoji: Record<RunState, string> = {
  queued: "🕒",
  running: "🔨",
  succeeded: "✅",
  failed: "❌",
  cancelled: "🚫",
  dead: "💀",
};

/** Eight characters of a commit, as chats show it. */
export const shortCommit = (commit: string): string => [...commit].slice(0, 8).join("");

/** The ending of a run id by which `meshmac runs` finds it; UUIDv7 begins with the time, so the ending tells runs apart. */
export const shortId = (runId: string): string => runId.slice(-8);

/** One plain line that says it all: state, issue or workflow, branch, node, commit, time taken. Not escaped for any dialect. */
export function headline(a: Announcement): string {
  const parts = [
    `${emoji[a.state]} ${a.issue_key ?? a.workflow} ${a.state}`,
    a.issue_key ? a.workflow : null,
    a.branch,
    a.commit ? shortCommit(a.commit) : null,
    nodeOf(a) ? `on ${nodeOf(a)}` : null,
    a.duration_ms === null ? null : humanDuration(a.duration_ms),
    faultOf(a),
  ];
  return parts.filter(Boolean).join(" · ");
}

/** The node to show: from *running* on. */
export const nodeOf = (a: Announcement): string | null => (a.state === "queued" ? null : a.mesh_node_id);

/** What went wrong, for a state in which something did: the failing target, else the reason. */
export const faultOf = (a: Announcement): string | null =>
  a.state === "failed" || a.state === "dead"
    ? (a.failing_target ?? a.reason)
    : a.state === "cancelled"
      ? a.reason
      : null;

/** The command that shows the log of a run of ours that is over, where no link would; else null. */
export function logCommand(a: Announcement): string | null {
  if (a.run_url !== null || !isOver(a.state) || a.attempt === null || a.attempt === 0) return null;
  return `meshmac runs logs ${shortId(a.provider_run_id)}`;
}

const nothing = {
  issue_key: null,
  issue_id: null,
  issue_url: null,
  summary: null,
  requested_by: null,
  lane: null,
  attempt: null,
  duration_ms: null,
  log_tail: [],
  idempotency_key: null,
};

/** Node and store have clocks of their own: only times of one clock are subtracted. */
function durationOf({ result, started_at, at }: StateFacts): number | null {
  if (result) return Math.max(0, result.finished_at - result.started_at);
  return started_at === null ? null : Math.max(0, at - started_at);
}
