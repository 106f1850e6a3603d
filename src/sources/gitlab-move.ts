import { commandIn } from "../core/command.ts";
import { isObject, type Json, type JsonObject, text } from "../core/json.ts";
import { isIssueName, type Move, type Seen } from "../core/move.ts";
import { deliveryIdIn } from "../core/verify.ts";
import { gitlab } from "../core/verify-presets.ts";
import { type GitlabReading, lacks, projectOf } from "./gitlab-facts.ts";

/** Reads a change of an issue. */
export function issueMove(body: JsonObject, _options: GitlabReading, headers: Headers): Seen {
  const { object_attributes: issue } = body;
  if (!isObject(issue)) throw lacks("object_attributes");
  const facts = subject(body, issue, body.labels ?? issue.labels);
  return {
    move: { ...facts, ...change(body, issue, facts.status), ...sender(body, headers), event: "issue", about: "issue" },
  };
}

/** Reads a command in a new comment of an issue or of a merge request. */
export function noteMove(body: JsonObject, { commands }: GitlabReading, headers: Headers): Seen {
  const { object_attributes: note, user, issue, merge_request: merge } = body;
  if (!isObject(note)) throw lacks("object_attributes");
  const about = isObject(issue) ? issue : isObject(merge) ? merge : undefined;
  if (!about) return { ignored: `a note on a ${JSON.stringify(text(note.noteable_type).slice(0, 40))}` };
  // Releases before 16 say no action, and send new notes only.
  const action = text(note.action) || "create";
  if (action !== "create") return { ignored: `the note was ${JSON.stringify(action.slice(0, 40))}, not created` };
  const command = commandIn({ text: text(note.note), author: isObject(user) ? text(user.username) : "" }, commands);
  if ("ignored" in command) return command;
  const head = isObject(merge) ? `refs/merge-requests/${text(merge.iid)}/head` : "";
  return {
    move: {
      ...subject(body, about, about.labels),
      ...sender(body, headers),
      event: "note",
      about: "other",
      touched: null,
      changed: {},
      transitionId: `note-${text(note.id)}`,
      issue: { ...about, command: { name: "build", ref: command.ref || head } },
    },
  };
}

type Subject = Omit<
  Move,
  "deliveryId" | "event" | "about" | "touched" | "changed" | "transitionId" | "requestedBy" | "body"
>;

function subject(body: JsonObject, about: JsonObject, labels: Json | undefined): Subject {
  const at = projectOf(body);
  const iid = text(about.iid);
  if (!/^\d{1,12}$/.test(iid)) throw lacks("the iid of the issue");
  const name = at.name.replace(/[^\w.-]/g, "-").replace(/^[^A-Za-z0-9]+/, "");
  const issueKey = `${name.slice(0, 50)}-${iid}`;
  return {
    issueKey: isIssueName(issueKey) ? issueKey : `project-${iid}`,
    issueId: iid,
    issueUrl: text(about.url) || null,
    project: [at.path, at.name].filter(Boolean),
    status: [text(about.state)].filter(Boolean),
    labels: titles(labels),
    components: [],
    issueType: [text(about.type)].filter(Boolean),
    summary: text(about.title),
    issue: about,
  };
}

const sender = (body: JsonObject, headers: Headers): Pick<Move, "deliveryId" | "requestedBy" | "body"> => ({
  deliveryId: deliveryIdIn(headers, gitlab),
  requestedBy: isObject(body.user) ? text(body.user.username) || text(body.user.name) : "",
  body,
});

/** What this event changed: of an issue that is new, everything; of its labels, those that it has now and had not before. */
function change(
  body: JsonObject,
  issue: JsonObject,
  status: string[],
): Pick<Move, "touched" | "changed" | "transitionId"> {
  const action = text(issue.action);
  if (action === "open" || action === "") return { touched: null, changed: {}, transitionId: null };
  const changes = isObject(body.changes) ? body.changes : {};
  const touched = new Set(Object.keys(changes).map((name) => name.toLowerCase()));
  const changed: Record<string, string[]> = {};
  if (isObject(changes.labels)) {
    const before = new Set(titles(changes.labels.previous));
    changed.labels = titles(changes.labels.current).filter((title) => !before.has(title));
  }
  if (action === "close" || action === "reopen") {
    touched.add("status");
    changed.status = status;
  }
  return { touched: [...touched], changed, transitionId: null };
}

const titles = (labels: Json | undefined): string[] =>
  Array.isArray(labels)
    ? labels.map((label) => (isObject(label) ? text(label.title) : text(label))).filter(Boolean)
    : [];
