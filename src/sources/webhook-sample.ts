import type { JsonObject } from "../core/json.ts";
import { firstSatisfied, neededPath, put } from "../core/sample.ts";
import type { BuildWhen, Taken } from "../core/wanted.ts";
import type { Sample, SourceOptions } from "./source.ts";
import type { IssuePaths } from "../core/issue-paths.ts";
import { readWebhook, type WebhookReading } from "./webhook-read.ts";

const headers = { "Content-Type": "application/json" };

/** Makes a request that satisfies the first entry of `build_when` that can be satisfied; where there is none, one that tells of a build. */
export function sampleWebhook(options: SourceOptions & WebhookReading, number = 12): Sample {
  if (options.build_when.length === 0) return { headers, body: finished(options, number) };
  const body = firstSatisfied(
    options.build_when,
    (entry) => bodyFor(entry, options, number),
    (made) => readWebhook(made, new Headers(), options),
  );
  return { headers, body };
}

function bodyFor(entry: BuildWhen, { paths, task }: SourceOptions & WebhookReading, number: number): JsonObject {
  const body: JsonObject = {};
  const say = (fact: keyof IssuePaths, value: string | undefined) => {
    if (value !== undefined) put(body, paths[fact] ?? fact, value);
  };
  say("issue_key", `${entry.project?.[0]?.match(/^[A-Za-z]\w{0,20}$/)?.[0] ?? "MOB"}-${number}`);
  say("event", entry.event?.[0]);
  say("project", entry.project?.[0]);
  say("status", entry.status?.[0]);
  say("labels", entry.labels?.[0]);
  say("components", entry.components?.[0]);
  say("issue_type", entry.issue_type?.[0]);
  say("summary", "a sample issue");
  for (const [path, [value]] of Object.entries(entry.where ?? {})) put(body, path, value ?? "");
  const ref = task && neededPath(task.ref);
  if (ref !== undefined) put(body, ref, "main");
  return body;
}

function finished({ report, report_when }: WebhookReading, number: number): JsonObject {
  const body: JsonObject = {};
  if (!report) return body;
  const [wanted] = report_when ?? [];
  const say = (where: Taken, value: string) => {
    if (typeof where !== "string") put(body, where.from, value);
  };
  const [state = "succeeded"] = wanted?.state ?? [];
  const word =
    state === "succeeded" || state === "failed" || state === "cancelled" ? report.states[state]?.[0] : undefined;
  say(report.workflow, wanted?.workflow?.[0] ?? "nightly");
  say(report.state, word ?? state);
  say(report.branch, wanted?.branch?.[0] ?? "main");
  say(report.provider_run_id, `sample-${number}`);
  return body;
}
