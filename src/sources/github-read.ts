import { isObject, type JsonObject, text } from "../core/json.ts";
import { Malformed, type Seen } from "../core/move.ts";
import type { Report } from "../core/records.ts";
import { namesEvent, reportIf } from "../core/report-when.ts";
import { type GithubReading, lacks, type Repository, repositoryOf } from "./github-facts.ts";
import { commentMove, issueMove, pushMove } from "./github-move.ts";

/**
 * Reads a delivery by the event that its header names: finished runs become reports; pushes, issues, pull requests and
 * commands in comments become moves. Throws Malformed where the header or the repository is missing.
 */
export function readGithub(body: JsonObject, headers: Headers, options: GithubReading): Seen {
  const event = headers.get("x-github-event") ?? "";
  if (event === "") throw noEvent();
  if (event === "ping") return { ignored: "a ping: the door is open" };
  const read = Object.hasOwn(readers, event) ? readers[event] : undefined;
  if (!read) return { ignored: `${JSON.stringify(event.slice(0, 60))} is no event that is read here` };
  return read(body, repositoryOf(body), options, headers);
}

type Reader = (body: JsonObject, repository: Repository, options: GithubReading, headers: Headers) => Seen;

const readers: Record<string, Reader> = {
  workflow_run: workflowRun,
  check_run: checkRun,
  push: pushMove,
  issues: issueMove,
  pull_request: issueMove,
  issue_comment: commentMove,
};

function workflowRun(
  { workflow_run: run, workflow }: JsonObject,
  at: Repository,
  { report_when }: GithubReading,
): Seen {
  if (!isObject(run)) throw lacks("workflow_run");
  const state = endOf(run);
  if ("ignored" in state) return state;
  const name = text(run.name) || text(isObject(workflow) ? workflow.name : undefined) || text(run.path) || "workflow";
  const attempt = text(run.run_attempt);
  const report = {
    workflow: `${at.name} / ${name}`,
    state: state.state,
    branch: text(run.head_branch),
    commit: text(run.head_sha) || null,
    run_url: text(run.html_url) || null,
    mesh_node_id: null,
    // Runs again under one id, and ends again in the same state: another announcement.
    provider_run_id: attempt === "" || attempt === "1" ? text(run.id) : `${text(run.id)}.${attempt}`,
    failing_target: null,
  };
  return reportIf(report_when, report, { event: "workflow_run", project: [at.path, at.name], workflow: name });
}

function checkRun({ check_run: run }: JsonObject, at: Repository, { report_when }: GithubReading): Seen {
  if (!isObject(run)) throw lacks("check_run");
  const { app, check_suite: suite, output } = run;
  if (isObject(app) && app.slug === "github-actions" && !namesEvent(report_when, "check_run")) {
    return { ignored: "a check of GitHub Actions, whose workflow_run tells of it; report_when can name check_run" };
  }
  const state = endOf(run);
  if ("ignored" in state) return state;
  const name = text(run.name) || "check";
  const report = {
    workflow: `${at.name} / ${name}`,
    state: state.state,
    branch: isObject(suite) ? text(suite.head_branch) : "",
    commit: text(run.head_sha) || null,
    run_url: text(run.html_url) || null,
    mesh_node_id: null,
    provider_run_id: `check-${text(run.id)}`,
    failing_target: state.state === "failed" && isObject(output) ? text(output.title) || null : null,
  };
  return reportIf(report_when, report, { event: "check_run", project: [at.path, at.name], workflow: name });
}

const ends: Record<string, Report["state"]> = {
  success: "succeeded",
  failure: "failed",
  timed_out: "failed",
  startup_failure: "failed",
  cancelled: "cancelled",
};

/** How a run ended; what is not over, or was skipped, is nobody's news. */
function endOf({ id, status, conclusion }: JsonObject): { state: Report["state"] } | { ignored: string } {
  if (text(id) === "") throw lacks("the id of the run");
  if (status !== "completed") return { ignored: `the run is not over: ${JSON.stringify(text(status).slice(0, 40))}` };
  const word = text(conclusion);
  const state = Object.hasOwn(ends, word) ? ends[word] : undefined;
  return state ? { state } : { ignored: `the run concluded ${JSON.stringify(word.slice(0, 40))}, which is no news` };
}

const noEvent = () =>
  new Malformed("no X-GitHub-Event header", "expected what GitHub sends; a proxy may drop headers it does not know");
