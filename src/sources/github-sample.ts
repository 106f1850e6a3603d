import type { CommandOptions } from "../core/command.ts";
import { isObject, type JsonObject } from "../core/json.ts";
import type { ReportWhen } from "../core/report-when.ts";
import { firstSatisfied, neededPath, put } from "../core/sample.ts";
import type { BuildWhen } from "../core/wanted.ts";
import type { GithubReading } from "./github-facts.ts";
import { readGithub } from "./github-read.ts";
import type { Sample, SourceOptions } from "./source.ts";

/** Makes a request that satisfies the first entry of `build_when` that can be satisfied, or tells of a run that `report_when` lets through. */
export function sampleGithub(options: SourceOptions & GithubReading, number = 12): Sample {
  if (options.build_when.length === 0) return sent("workflow_run", runOf(options.report_when?.[0], number));
  const body = firstSatisfied(
    options.build_when,
    (entry) => bodyFor(entry, options, number),
    (made) => readGithub(made, new Headers({ "X-GitHub-Event": eventIn(made) }), options),
  );
  return sent(eventIn(body), body);
}

const sent = (event: string, body: JsonObject): Sample => ({
  headers: { "Content-Type": "application/json", "X-GitHub-Event": event },
  body,
});

function eventIn(body: JsonObject): string {
  if (body.comment) return "issue_comment";
  if (body.pull_request) return "pull_request";
  return body.issue ? "issues" : "push";
}

const commit = "0123456789abcdef0123456789abcdef01234567";

function repositoryFor(project: string | undefined): JsonObject {
  const full_name = project?.includes("/") ? project : `acme/${project ?? "app"}`;
  return { full_name, name: full_name.slice(full_name.indexOf("/") + 1) };
}

/** The one who may give commands, where it is an allow list of names that says so. */
const authorOf = ({ commands }: { commands?: CommandOptions | undefined }): string => commands?.authors[0] ?? "ada";

function bodyFor(entry: BuildWhen, options: SourceOptions & GithubReading, number: number): JsonObject {
  const event = entry.event?.[0] ?? "issues";
  const shared = { repository: repositoryFor(entry.project?.[0]), sender: { login: authorOf(options) } };
  const body: JsonObject =
    event === "push" ? { ...pushFor(entry), ...shared } : { ...aboutIssue(event, entry, options, number), ...shared };
  const wanted = Object.entries(entry.where ?? {}).map(([path, [value]]): [string, string] => [path, value ?? ""]);
  const ref = options.task && neededPath(options.task.ref);
  const about = [body.pull_request, body.issue].find(isObject);
  for (const [path, value] of ref === undefined ? wanted : [...wanted, [ref, "main"] as const]) {
    // Paths are looked up in the issue first; what stands there already is the body's own.
    put(about && !path.includes(".") && !(path in body) ? about : body, path, value);
  }
  return body;
}

function pushFor({ changed }: BuildWhen): JsonObject {
  const [tag] = changed?.tag ?? [];
  const ref = tag === undefined ? `refs/heads/${changed?.branch?.[0] ?? "main"}` : `refs/tags/${tag}`;
  return {
    ref,
    before: "0".repeat(40),
    after: commit,
    deleted: false,
    head_commit: { id: commit, message: "a sample commit" },
  };
}

function aboutIssue(event: string, entry: BuildWhen, options: GithubReading, number: number): JsonObject {
  const label = entry.labels?.[0] ?? entry.changed?.labels?.[0];
  const state = entry.status?.[0] ?? entry.changed?.status?.[0] ?? "open";
  const subject: JsonObject = {
    number,
    title: "a sample issue",
    state,
    labels: label === undefined ? [] : [{ name: label }],
    ...(entry.issue_type && { type: { name: entry.issue_type[0] ?? "" } }),
  };
  if (event === "issue_comment") {
    const [association = "MEMBER"] = options.commands?.associations ?? [];
    const comment = {
      id: number,
      body: "/meshmac build",
      user: { login: authorOf(options) },
      author_association: association,
    };
    return { action: "created", issue: subject, comment };
  }
  const action = entry.changed?.status
    ? state === "closed"
      ? "closed"
      : "reopened"
    : label === undefined
      ? "opened"
      : "labeled";
  const what: JsonObject = { action, ...(label !== undefined && { label: { name: label } }) };
  if (event !== "pull_request") return { ...what, issue: subject };
  return { ...what, pull_request: { ...subject, head: { ref: "feature/sample", sha: commit } } };
}

const conclusions: Record<string, string> = { succeeded: "success", failed: "failure", cancelled: "cancelled" };

function runOf(entry: ReportWhen | undefined, number: number): JsonObject {
  return {
    action: "completed",
    workflow_run: {
      id: number,
      name: entry?.workflow?.[0] ?? "CI",
      head_branch: entry?.branch?.[0] ?? "main",
      head_sha: commit,
      status: "completed",
      conclusion: conclusions[entry?.state?.[0] ?? "succeeded"] ?? "success",
      html_url: `https://github.com/acme/app/actions/runs/${number}`,
      run_attempt: 1,
    },
    repository: repositoryFor(entry?.project?.[0]),
    sender: { login: "ada" },
  };
}
