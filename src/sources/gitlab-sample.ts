import type { JsonObject } from "../core/json.ts";
import type { ReportWhen } from "../core/report-when.ts";
import { firstSatisfied, neededPath, put } from "../core/sample.ts";
import type { BuildWhen } from "../core/wanted.ts";
import type { GitlabReading } from "./gitlab-facts.ts";
import { readGitlab } from "./gitlab-read.ts";
import type { Sample, SourceOptions } from "./source.ts";

/** Makes a request that satisfies the first entry of `build_when` that can be satisfied, or tells of a build that `report_when` lets through. */
export function sampleGitlab(options: SourceOptions & GitlabReading, number = 12): Sample {
  const headers = { "Content-Type": "application/json" };
  if (options.build_when.length === 0) return { headers, body: finished(options.report_when?.[0], number) };
  const body = firstSatisfied(
    options.build_when,
    (entry) => bodyFor(entry, options, number),
    (made) => readGitlab(made, new Headers(), options),
  );
  return { headers, body };
}

function projectFor(project: string | undefined): JsonObject {
  const path = project?.includes("/") ? project : `acme/${project ?? "app"}`;
  const name = path.slice(path.lastIndexOf("/") + 1);
  return { name, path_with_namespace: path, web_url: `https://gitlab.example/${path}` };
}

const commit = "0123456789abcdef0123456789abcdef01234567";

function bodyFor(entry: BuildWhen, { commands, task }: SourceOptions & GitlabReading, number: number): JsonObject {
  const label = entry.labels?.[0] ?? entry.changed?.labels?.[0];
  const state = entry.status?.[0] ?? entry.changed?.status?.[0] ?? "opened";
  const labels = label === undefined ? [] : [{ title: label }];
  const issue: JsonObject = { iid: number, title: "a sample issue", state, labels };
  const [author = "ada"] = commands?.authors ?? [];
  const shared = { user: { username: author, name: "Ada Example" }, project: projectFor(entry.project?.[0]) };
  const action = entry.changed?.status
    ? state === "closed"
      ? "close"
      : "reopen"
    : label === undefined
      ? "open"
      : "update";
  const body: JsonObject =
    entry.event?.[0] === "note"
      ? {
          object_kind: "note",
          ...shared,
          issue,
          object_attributes: { id: number, note: "/meshmac build", noteable_type: "Issue", action: "create" },
        }
      : {
          object_kind: "issue",
          ...shared,
          labels,
          object_attributes: { ...issue, action, ...(entry.issue_type && { type: entry.issue_type[0] ?? "" }) },
        };
  if (action === "update") body.changes = { labels: { previous: [], current: labels } };
  for (const [path, [value]] of Object.entries(entry.where ?? {})) put(body, path, value ?? "");
  const ref = task && neededPath(task.ref);
  if (ref !== undefined) put(body, ref, "main");
  return body;
}

const statuses: Record<string, string> = { succeeded: "success", failed: "failed", cancelled: "canceled" };

function finished(entry: ReportWhen | undefined, number: number): JsonObject {
  const status = statuses[entry?.state?.[0] ?? "succeeded"] ?? "success";
  const [ref, name] = [entry?.branch?.[0] ?? "main", entry?.workflow?.[0]];
  const shared = { project: projectFor(entry?.project?.[0]), user: { username: "ada" } };
  if (entry?.event?.[0] === "job") {
    return {
      object_kind: "build",
      ref,
      sha: commit,
      build_id: number,
      build_name: name ?? "test",
      build_status: status,
      ...shared,
    };
  }
  return {
    object_kind: "pipeline",
    object_attributes: { id: number, ref, sha: commit, status, ...(name && { name }) },
    ...shared,
  };
}
