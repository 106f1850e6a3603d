import { isObject, type Json, type JsonObject, text } from "../core/json.ts";
import { hasMarker } from "../core/marker.ts";
import { isIssueName, Malformed, type Move, type Seen } from "../core/move.ts";
import { namesIn } from "../core/words.ts";
import type { IssuePaths } from "../core/issue-paths.ts";
import { JiraFacts } from "./jira-facts.ts";

/** What reading needs of the configuration. */
export interface JiraReading {
  paths?: IssuePaths | undefined;
  comment?: { site: string; email?: string | undefined } | undefined;
}

/**
 * Reads every body that Jira sends: Automation's "Issue data" in both formats, Custom data, and native webhooks of Cloud and
 * Server. Throws Malformed where no issue can be found in what should name one.
 */
export function readJira(body: JsonObject, headers: Headers, { paths, comment }: JiraReading): Seen {
  const facts = new JiraFacts(body, paths);
  const changes = changesIn(body);
  const { event, about } = occasion(body, facts, changes);
  if (about === "other" && isOurs(body, comment?.email)) return { ignored: "our own comment" };

  const issueKey = keyOf(facts);
  if (issueKey === "") {
    if (text(body.webhookEvent) === "") throw noKey();
    return { ignored: about === "other" ? `${event} came without its issue` : `${event} is not about an issue` };
  }
  if (!isIssueName(issueKey)) throw badKey();
  const issueId = facts.text("issue_id");
  const changed = changes?.changed ?? {};
  const move: Move = {
    deliveryId: deliveryId(headers, facts),
    event,
    about,
    touched: changes?.touched ?? null,
    issueKey,
    issueId: /^\d{1,20}$/.test(issueId) ? issueId : issueKey,
    issueUrl: comment ? `${comment.site}/browse/${encodeURIComponent(issueKey)}` : null,
    project: projectOf(facts.value("project"), issueKey),
    status: statusOf(facts.value("status")) ?? changed.status ?? [],
    labels: listOf(facts.value("labels")),
    components: listOf(facts.value("components")),
    issueType: namesIn(facts.value("issue_type")),
    changed,
    transitionId: transitionId(body, facts),
    summary: facts.text("summary"),
    requestedBy: personIn(facts.value("requested_by")) || personIn(authorOf(body.comment)),
    issue: facts.issue,
    body,
  };
  return { move };
}

interface Changes {
  touched: string[];
  changed: Record<string, string[]>;
}

/** What a native body's changelog says; undefined where there is none (Automation sends an empty shell of one). */
function changesIn(body: JsonObject): Changes | undefined {
  const items = isObject(body.changelog) ? body.changelog.items : undefined;
  if (!Array.isArray(items)) return undefined;
  const touched: string[] = [];
  // No prototype: a field may be called anything.
  const changed: Record<string, string[]> = Object.create(null);
  for (const item of items) {
    if (!isObject(item)) continue;
    const field = text(item.field);
    const values = newValues(item, field);
    for (const name of new Set([field, text(item.fieldId)])) {
      if (name === "") continue;
      touched.push(name.toLowerCase());
      changed[name] = [...(changed[name] ?? []), ...values];
    }
  }
  return { touched: [...new Set(touched)], changed };
}

/** An item's property is really called `toString`: read as an own property, or every object would have one. */
function newValues(item: JsonObject, field: string): string[] {
  const shown = Object.hasOwn(item, "toString") ? text(item["toString"] as Json) : "";
  const value = shown === "" ? text(item.to) : shown;
  if (value === "") return [];
  return field.toLowerCase() === "labels" ? value.split(/\s+/).filter(Boolean) : [value];
}

// Comments, work logs, attachments, links and deletions are about an issue without being a move of it.
const otherEvent = /comment|worklog|work_log|attachment|link|property|delete/i;

function occasion(body: JsonObject, facts: JiraFacts, changes: Changes | undefined): Pick<Move, "event" | "about"> {
  const event = facts.text("event") || "automation";
  const type = text(body.issue_event_type_name);
  const moved = (changes?.touched.length ?? 0) > 0;
  // Server tells of a comment also as jira:issue_updated with the comment beside the issue, and nothing changed.
  if (!moved && (otherEvent.test(type) || isObject(body.comment))) {
    return { event: otherEvent.test(event) ? event : type || "issue_commented", about: "other" };
  }
  return { event, about: otherEvent.test(event) ? "other" : "issue" };
}

function isOurs({ comment }: JsonObject, email: string | undefined): boolean {
  const said = isObject(comment) ? comment.body : comment;
  if (said !== undefined && hasMarker(typeof said === "string" ? said : JSON.stringify(said))) return true;
  const author = authorOf(comment);
  if (email === undefined || !isObject(author)) return false;
  return [author.emailAddress, author.name].some((name) => text(name).toLowerCase() === email.toLowerCase());
}

const authorOf = (comment: Json | undefined): Json | undefined =>
  isObject(comment) ? (comment.updateAuthor ?? comment.author) : undefined;

function keyOf(facts: JiraFacts): string {
  const key = facts.text("issue_key");
  if (key !== "") return key;
  // `"id": "MOB-12"` is in use too; a number is an id, and names no issue to people.
  const id = facts.text("issue_id");
  return /^[A-Za-z]\w*-\d+$/.test(id) ? id : "";
}

function deliveryId(headers: Headers, facts: JiraFacts): string | null {
  return (
    // The same over all retries of one delivery: https://developer.atlassian.com/cloud/jira/platform/webhooks/
    headers.get("x-atlassian-webhook-identifier") || headers.get("idempotency-key") || facts.text("delivery_id") || null
  );
}

function transitionId({ changelog, transition }: JsonObject, facts: JiraFacts): string | null {
  const ofChangelog = isObject(changelog) ? text(changelog.id) : "";
  // The post function "Trigger a webhook" of a workflow sends an object.
  const ofTransition = isObject(transition) ? text(transition.transitionId ?? transition.id) : "";
  return ofChangelog || facts.text("transition_id") || ofTransition || null;
}

function statusOf(value: Json | undefined): string[] | undefined {
  if (value === undefined) return undefined;
  const category = isObject(value) && isObject(value.statusCategory) ? text(value.statusCategory.key) : "";
  return category === "" ? namesIn(value) : [...namesIn(value), category];
}

/** A list, or what a smart value makes of one: `ci-build, nightly`. The whole text counts too, as a name may hold a comma. */
function listOf(value: Json | undefined): string[] {
  if (typeof value !== "string") return namesIn(value);
  const parts = value.split(",").map((part) => part.trim());
  return [...new Set([value.trim(), ...parts])].filter(Boolean);
}

function projectOf(value: Json | undefined, issueKey: string): string[] {
  const key = isObject(value) ? text(value.key) : "";
  return [...new Set([key, ...namesIn(value), /^([A-Za-z]\w*)-\d+$/.exec(issueKey)?.[1] ?? ""])].filter(Boolean);
}

function personIn(value: Json | undefined): string {
  if (!isObject(value)) return text(value);
  return [value.displayName, value.name, value.emailAddress, value.accountId].map(text).find(Boolean) ?? "";
}

const noKey = () =>
  new Malformed(
    "no issue key in the body",
    'send "Issue data", or Custom data with "issue": {"key": "{{issue.key}}"}; paths.issue_key of the source names another place',
  );

const badKey = () =>
  new Malformed(
    "the issue key is not one",
    "expected letters, digits, _ . -, at most 64; check the smart value that fills it, for example {{issue.key}}",
  );
