import { isObject, type Json, type JsonObject, text } from "../core/json.ts";
import { hasMarker } from "../core/marker.ts";
import { isIssueName, Malformed, type Move, type Seen } from "../core/move.ts";

/** What reading needs of the configuration. */
export interface YoutrackReading {
  comment?: { site: string } | undefined;
}

/**
 * Reads what the Webhook Triggers app sends, in the shapes of its releases to 1.0.3, 1.0.5 and later. Throws Malformed where
 * the body is none of them.
 */
export function readYoutrack(body: JsonObject, _headers: Headers, { comment }: YoutrackReading): Seen {
  const event = text(body.event);
  const issueId = text(body.id);
  if (event === "" || issueId === "") throw notOurs();
  if (!isIssueName(issueId)) throw badId();
  if (event.startsWith("comment") && saysMarker(body.comments)) return { ignored: "our own comment" };

  const issueKey = readable(body, issueId);
  const changed = changedIn(body.changedFields);
  const facts = wellKnown(changed ?? {});
  const move: Move = {
    deliveryId: null, // the app has none
    event,
    about: event === "issueCreated" || event === "issueUpdated" ? "issue" : "other",
    touched: changed && [...new Set([...Object.keys(changed).map(lower), ...Object.keys(facts)])],
    issueKey,
    issueId,
    issueUrl: comment ? `${comment.site}/issue/${encodeURIComponent(issueKey)}` : null,
    project: projectIn(body.project),
    status: facts.status ?? [],
    labels: facts.labels ?? [],
    components: facts.component ?? [],
    issueType: facts.issuetype ?? [],
    changed: changed ?? {},
    transitionId: null,
    summary: text(body.summary),
    requestedBy: actorIn(body),
    issue: body,
    body,
  };
  return { move };
}

type Meaning = "status" | "labels" | "component" | "issuetype";

// A project names its workflow field as it likes; these are the ones of YouTrack's own templates.
const meaning: Record<string, Meaning> = {
  state: "status",
  stage: "status",
  status: "status",
  "kanban state": "status",
  tags: "labels",
  labels: "labels",
  subsystem: "component",
  subsystems: "component",
  component: "component",
  components: "component",
  type: "issuetype",
};

const lower = (name: string): string => name.toLowerCase();

/** What the changed fields mean in the words of `build_when`. */
function wellKnown(changed: Record<string, string[]>): Partial<Record<Meaning, string[]>> {
  const facts: Partial<Record<Meaning, string[]>> = {};
  for (const [name, values] of Object.entries(changed)) {
    const fact = Object.hasOwn(meaning, lower(name)) ? meaning[lower(name)] : undefined;
    if (fact) facts[fact] = [...(facts[fact] ?? []), ...values];
  }
  return facts;
}

/** The new values by field name; null where the event carries none. A localised server sends built-in fields under both names. */
function changedIn(fields: Json | undefined): Record<string, string[]> | null {
  if (!Array.isArray(fields)) return null;
  // No prototype: a field may be called anything.
  const changed: Record<string, string[]> = Object.create(null);
  for (const field of fields) {
    const name = isObject(field) ? text(field.name) : "";
    if (isObject(field) && name !== "") changed[name] = [...new Set([...(changed[name] ?? []), ...shown(field.value)])];
  }
  return changed;
}

const shownBy = ["name", "presentation", "fullName", "login"] as const;

/** A value as people see it: a scalar, an enumeration or state, a period, a user, or a list of those. */
function shown(value: Json | undefined): string[] {
  if (Array.isArray(value)) return value.flatMap(shown);
  if (!isObject(value)) return [text(value)].filter(Boolean);
  return [...new Set(shownBy.map((property) => text(value[property])))].filter(Boolean);
}

/** The key that people use: releases to 1.0.3 may send an internal id (`2-123`) and the parts of the key beside it. */
function readable(body: JsonObject, id: string): string {
  const { project, numberInProject } = body;
  const [shortName, number] = [isObject(project) ? text(project.shortName) : "", text(numberInProject)];
  const key = `${shortName}-${number}`;
  return /^\d+-\d+$/.test(id) && shortName !== "" && number !== "" && isIssueName(key) ? key : id;
}

const projectIn = (project: Json | undefined): string[] =>
  isObject(project)
    ? [...new Set([project.shortName, project.key, project.name].map(text))].filter(Boolean)
    : [text(project)].filter(Boolean);

function actorIn(body: JsonObject): string {
  const authors = [body.comments, body.workItems, body.attachments].map((list) =>
    Array.isArray(list) && isObject(list[0]) ? list[0].author : undefined,
  );
  const people = [body.updatedBy, body.reporter, ...authors];
  const person = people.find(isObject);
  return person ? text(person.fullName) || text(person.login) : "";
}

function saysMarker(comments: Json | undefined): boolean {
  if (!Array.isArray(comments) || comments.length === 0) return false;
  return comments.every((comment) => isObject(comment) && hasMarker(text(comment.text) || text(comment.textPreview)));
}

const notOurs = () =>
  new Malformed(
    "no event or issue id in the body",
    'expected what the Webhook Triggers app sends: {"event": "issueUpdated", "id": "MOB-12", …}; is this door\'s kind the right one?',
  );

const badId = () => new Malformed("the issue id is not one", "expected letters, digits, _ . -, at most 64");
