import { isObject, type Json, type JsonObject, text } from "../core/json.ts";
import type { Seen } from "../core/move.ts";
import type { Report } from "../core/records.ts";
import { namesEvent, reportIf } from "../core/report-when.ts";
import { type GitlabReading, lacks, projectOf } from "./gitlab-facts.ts";
import { issueMove, noteMove } from "./gitlab-move.ts";

/**
 * Reads a delivery by its `object_kind`: finished pipelines and jobs become reports; issues, and commands in notes, become
 * moves. Throws Malformed where the body is not GitLab's.
 */
export function readGitlab(body: JsonObject, headers: Headers, options: GitlabReading): Seen {
  const kind = text(body.object_kind);
  if (kind === "") throw lacks("object_kind");
  const read = Object.hasOwn(readers, kind) ? readers[kind] : undefined;
  return read
    ? read(body, options, headers)
    : { ignored: `${JSON.stringify(kind.slice(0, 60))} is no event that is read here` };
}

type Reader = (body: JsonObject, options: GitlabReading, headers: Headers) => Seen;

const readers: Record<string, Reader> = { pipeline, build: job, issue: issueMove, note: noteMove };

function pipeline(body: JsonObject, { report_when }: GitlabReading): Seen {
  const { object_attributes: about } = body;
  if (!isObject(about)) throw lacks("object_attributes");
  const at = projectOf(body);
  const state = endOf("pipeline", about.id, about.status);
  if ("ignored" in state) return state;
  const name = text(about.name) || "pipeline";
  const id = text(about.id);
  const report = {
    workflow: `${at.name} / ${name}`,
    state: state.state,
    branch: text(about.ref),
    commit: text(about.sha) || null,
    run_url: text(about.url) || (at.url && `${at.url}/-/pipelines/${id}`) || null,
    mesh_node_id: null,
    provider_run_id: id,
    failing_target: state.state === "failed" ? failedJobs(body.builds) : null,
  };
  return reportIf(report_when, report, { event: "pipeline", project: [at.path, at.name], workflow: name });
}

function job(body: JsonObject, { report_when }: GitlabReading): Seen {
  if (!namesEvent(report_when, "job")) {
    return { ignored: "a job, whose pipeline tells of it; report_when can name job" };
  }
  const at = projectOf(body);
  const state = endOf("job", body.build_id, body.build_status);
  if ("ignored" in state) return state;
  const name = text(body.build_name) || "job";
  const id = text(body.build_id);
  const { runner, build_failure_reason: reason } = body;
  const report = {
    workflow: `${at.name} / ${name}`,
    state: state.state,
    branch: text(body.ref),
    commit: text(body.sha) || null,
    run_url: at.url === "" ? null : `${at.url}/-/jobs/${id}`,
    mesh_node_id: isObject(runner) ? text(runner.description) || null : null,
    provider_run_id: `job-${id}`,
    // Older releases say "script_failure" or "unknown_failure" of every job, whatever came of it.
    failing_target: state.state === "failed" ? text(reason) || null : null,
  };
  return reportIf(report_when, report, { event: "job", project: [at.path, at.name], workflow: name });
}

const ends: Record<string, Report["state"]> = { success: "succeeded", failed: "failed", canceled: "cancelled" };

function endOf(
  what: string,
  id: Json | undefined,
  status: Json | undefined,
): { state: Report["state"] } | { ignored: string } {
  if (text(id) === "") throw lacks(`the id of the ${what}`);
  const word = text(status);
  const state = Object.hasOwn(ends, word) ? ends[word] : undefined;
  return state
    ? { state }
    : { ignored: `the ${what} is ${JSON.stringify(word.slice(0, 40))}, which is no end to tell of` };
}

/** The names of the jobs that failed, without those that may. */
function failedJobs(builds: Json | undefined): string | null {
  if (!Array.isArray(builds)) return null;
  const failed = builds.filter(isObject).filter((build) => build.status === "failed" && build.allow_failure !== true);
  return (
    failed
      .map(({ name }) => text(name))
      .filter(Boolean)
      .join(", ") || null
  );
}
