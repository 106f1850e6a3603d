import { isObject, type Json, type JsonObject, text } from "../core/json.ts";
import { hasMarker } from "../core/marker.ts";
import { isIssueName, Malformed, type Move, type Seen } from "../core/move.ts";
import { deliveryIdIn } from "../core/verify.ts";
import { linear } from "../core/verify-presets.ts";
import { namesIn } from "../core/words.ts";

/**
 * Reads a data change event: of an issue as a move, of a comment only as something about an issue. Throws Malformed where the
 * body is not Linear's. `webhookTimestamp` is not looked at: a delivery may come six hours late, and an id that was seen is
 * not built again. https://linear.app/developers/webhooks
 */
export function readLinear(body: JsonObject, headers: Headers): Seen {
  const { data } = body;
  const [type, action] = [text(body.type), text(body.action)];
  if (type === "" || action === "" || !isObject(data)) throw notOurs();
  if (type === "Comment" && hasMarker(text(data.body))) return { ignored: "our own comment" };
  const issue = type === "Issue" ? data : isObject(data.issue) ? data.issue : undefined;
  if (!issue) return { ignored: `${JSON.stringify(type.slice(0, 60))} is not about an issue` };
  const issueKey = keyOf(issue);
  if (!isIssueName(issueKey)) throw noKey();
  const { state, team } = issue;
  const issueId = text(issue.id);
  const moved = type === "Issue" && action !== "remove";
  const move: Move = {
    deliveryId: deliveryIdIn(headers, linear),
    event: `${type}.${action}`,
    about: moved ? "issue" : "other",
    ...(moved ? change(body, issue) : { touched: null, changed: {} }),
    issueKey,
    issueId: isIssueName(issueId) ? issueId : issueKey,
    issueUrl: linkOf(body.url),
    project: [...namesIn(team), ...namesIn(issue.project), keyPart(issueKey)].filter(
      (name, at, all) => all.indexOf(name) === at,
    ),
    status: isObject(state) ? [text(state.name), text(state.type)].filter(Boolean) : [],
    labels: namesIn(issue.labels),
    components: [],
    issueType: [],
    transitionId: null,
    summary: text(issue.title),
    requestedBy: isObject(body.actor) ? text(body.actor.name) : "",
    issue,
    body,
  };
  return { move };
}

/** `identifier`, which bodies before 2024 lack: there the team's key and the number say the same. */
function keyOf({ identifier, team, number }: JsonObject): string {
  return text(identifier) || (isObject(team) && text(number) !== "" ? `${text(team.key)}-${text(number)}` : "");
}

const keyPart = (key: string): string => key.replace(/-\d+$/, "");

const names: Record<string, string> = {
  stateId: "status",
  labelIds: "labels",
  assigneeId: "assignee",
  projectId: "project",
  title: "summary",
};
// Every change touches these.
const always = new Set(["updatedAt", "sortOrder", "boardOrder", "prioritySortOrder", "subIssueSortOrder"]);

/** What an update says that the issue was before tells what has changed; a new issue has changed in everything. */
function change({ updatedFrom }: JsonObject, issue: JsonObject): Pick<Move, "touched" | "changed"> {
  if (!isObject(updatedFrom)) return { touched: null, changed: {} };
  const fields = Object.keys(updatedFrom).filter((field) => !always.has(field));
  const touched = fields.map((field) => (Object.hasOwn(names, field) ? (names[field] ?? field) : field).toLowerCase());
  // No prototype: a field may be called anything.
  const changed: Record<string, string[]> = Object.create(null);
  if (touched.includes("status") && isObject(issue.state)) changed.status = namesIn(issue.state);
  if (touched.includes("labels")) changed.labels = added(issue.labels, updatedFrom.labelIds);
  return { touched, changed };
}

function added(labels: Json | undefined, before: Json | undefined): string[] {
  if (!Array.isArray(labels)) return [];
  const had = new Set(Array.isArray(before) ? before.map(text) : []);
  return labels.filter((label) => isObject(label) && !had.has(text(label.id))).flatMap(namesIn);
}

function linkOf(url: Json | undefined): string | null {
  const link = URL.parse(text(url));
  return link?.origin === "https://linear.app" ? `${link.origin}${link.pathname}` : null;
}

const notOurs = () =>
  new Malformed(
    "no type, action or data in the body",
    'expected what Linear sends: {"type": "Issue", "action": "update", "data": {…}, …}; is this door\'s kind the right one?',
  );

const noKey = () =>
  new Malformed("no issue key in the body", "expected data.identifier, or data.team.key and data.number");
