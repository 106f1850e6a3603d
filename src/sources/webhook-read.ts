import { z } from "zod";
import { fold } from "../core/build-when.ts";
import { at, type Json, type JsonObject, text } from "../core/json.ts";
import { hasMarker } from "../core/marker.ts";
import { isIssueName, Malformed, type Move, type Seen } from "../core/move.ts";
import type { Report } from "../core/records.ts";
import { reportIf, type ReportWhen } from "../core/report-when.ts";
import type { IssuePaths } from "../core/issue-paths.ts";
import { take } from "../core/take.ts";
import { deliveryIdIn } from "../core/verify.ts";
import { type Taken, taken, words } from "../core/wanted.ts";
import { namesIn } from "../core/words.ts";
import { verifyOf } from "./webhook-verify.ts";

const under = (name: string) => taken.prefault({ from: name });

/** How a body becomes a report: each field a plain text, or a path; under its own name where none is said. */
export const webhookReport = () =>
  z.strictObject({
    workflow: under("workflow"),
    state: under("state"),
    branch: taken.prefault({ from: "branch", default: "main" }),
    commit: under("commit"),
    run_url: under("run_url"),
    mesh_node_id: under("mesh_node_id"),
    provider_run_id: under("provider_run_id"),
    failing_target: under("failing_target"),
    states: z
      .strictObject({ succeeded: words.optional(), failed: words.optional(), cancelled: words.optional() })
      .default({}),
  });

export type WebhookReport = z.output<ReturnType<typeof webhookReport>>;

/** What reading needs of the configuration. */
export interface WebhookReading {
  verify?: Parameters<typeof verifyOf>[0]["verify"];
  header?: string | undefined;
  paths: IssuePaths;
  report?: WebhookReport | undefined;
  report_when?: ReportWhen[] | undefined;
}

/**
 * Reads a body as the configuration says: as a finished build where it has the state of one, else as an issue that moved.
 * Throws Malformed where it is neither.
 */
export function readWebhook(body: JsonObject, headers: Headers, options: WebhookReading): Seen {
  const { report } = options;
  if (report && takeFrom(report.state, body) !== "") return finished(body, report, options);
  return moved(body, headers, options);
}

const takeFrom = (what: Taken, body: JsonObject): string => (take(what, { issue: {}, body }) ?? "").trim();

const usual: Record<Report["state"], readonly string[]> = {
  succeeded: ["succeeded", "success", "successful", "ok", "passed"],
  failed: ["failed", "failure", "error", "errored", "timed_out"],
  cancelled: ["cancelled", "canceled", "aborted"],
};

function finished(body: JsonObject, fields: WebhookReport, { report_when }: WebhookReading): Seen {
  const said = takeFrom(fields.state, body);
  const state = stateOf(said, fields.states);
  if (!state)
    return {
      ignored: `the state ${JSON.stringify(said.slice(0, 40))} is no end to tell of; report.states can name it`,
    };
  const get = (name: Exclude<keyof WebhookReport, "states">) => takeFrom(fields[name], body);
  const [workflow, provider_run_id] = [get("workflow"), get("provider_run_id")];
  if (workflow === "" || provider_run_id === "") throw lacksReport(workflow === "" ? "workflow" : "provider_run_id");
  const report = {
    workflow,
    state,
    branch: get("branch"),
    commit: get("commit") || null,
    run_url: get("run_url") || null,
    mesh_node_id: get("mesh_node_id") || null,
    provider_run_id,
    failing_target: state === "failed" ? get("failing_target") || null : null,
  };
  return reportIf(report_when, report, { event: text(at(body, "event")), project: [], workflow });
}

/** The state that a word means: by the configuration first, then by usage. */
function stateOf(said: string, states: WebhookReport["states"]): Report["state"] | undefined {
  const word = fold(said);
  const all = ["succeeded", "failed", "cancelled"] as const;
  return (
    all.find((state) => states[state]?.some((name) => fold(name) === word)) ??
    all.find((state) => usual[state].includes(word))
  );
}

function moved(body: JsonObject, headers: Headers, options: WebhookReading): Seen {
  const fact = (name: keyof IssuePaths): Json | undefined => at(body, options.paths[name] ?? name);
  const word = (name: keyof IssuePaths): string => text(fact(name)).trim();
  const issueKey = word("issue_key");
  if (issueKey === "") throw lacksKey(options);
  if (!isIssueName(issueKey)) throw badKey();
  const issueId = word("issue_id");
  const summary = word("summary");
  if (hasMarker(summary)) return { ignored: "our own comment" };
  const move: Move = {
    deliveryId: deliveryIdIn(headers, verifyOf(options)) ?? (word("delivery_id") || null),
    event: word("event") || "webhook",
    about: "issue",
    touched: null,
    issueKey,
    issueId: isIssueName(issueId) ? issueId : issueKey,
    issueUrl: null,
    project: namesIn(fact("project")),
    status: namesIn(fact("status")),
    labels: namesIn(fact("labels")),
    components: namesIn(fact("components")),
    issueType: namesIn(fact("issue_type")),
    changed: {},
    transitionId: word("transition_id") || null,
    summary,
    requestedBy: word("requested_by"),
    issue: body,
    body,
  };
  return { move };
}

const lacksReport = (field: string) =>
  new Malformed(`no ${field} in the body`, `report.${field} of the source names its place, as { from: path }`);

const lacksKey = ({ report }: WebhookReading) =>
  new Malformed(
    report ? "neither the state of a build nor an issue key in the body" : "no issue key in the body",
    "paths.issue_key of the source names its place; of a build that is over, report.state",
  );

const badKey = () => new Malformed("the issue key is not one", "expected letters, digits, _ . -, at most 64");
