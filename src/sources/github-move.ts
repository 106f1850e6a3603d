import { type Command, commandIn } from "../core/command.ts";
import { isObject, type JsonObject, text } from "../core/json.ts";
import { isIssueName, type Move, type Seen } from "../core/move.ts";
import { namesIn } from "../core/words.ts";
import { deliveryIdIn } from "../core/verify.ts";
import { github } from "../core/verify-presets.ts";
import { type GithubReading, lacks, loginOf, type Repository } from "./github-facts.ts";

/** Reads a change of an issue or of a pull request. */
export function issueMove(body: JsonObject, at: Repository, options: GithubReading, headers: Headers): Seen {
  const { pull_request: pull, issue } = body;
  const [about, event] = isObject(pull) ? [pull, "pull_request"] : [issue, "issues"];
  if (!isObject(about)) throw lacks("issue or pull_request");
  const facts = subject(about, at, options, isObject(pull));
  return { move: { ...base(body, headers), ...facts, ...change(body, facts), event, about: "issue" } };
}

/** Reads a command in a new comment of an issue or of a pull request. */
export function commentMove(body: JsonObject, at: Repository, options: GithubReading, headers: Headers): Seen {
  const { issue, comment, action } = body;
  if (!isObject(issue) || !isObject(comment)) throw lacks("issue or comment");
  if (action !== "created")
    return { ignored: `the comment was ${JSON.stringify(text(action).slice(0, 40))}, not created` };
  const said = {
    text: text(comment.body),
    author: loginOf(comment.user),
    association: text(comment.author_association),
  };
  const command: Command = commandIn(said, options.commands);
  if ("ignored" in command) return command;
  const isPull = isObject(issue.pull_request);
  const facts = subject(issue, at, options, isPull);
  const number = text(issue.number);
  // The head of a pull request can be fetched by this name, from a fork too: whoever may ask has looked at it.
  const ref = command.ref || (isPull ? `refs/pull/${number}/head` : "");
  return {
    move: {
      ...base(body, headers),
      ...facts,
      event: "issue_comment",
      about: "other",
      touched: null,
      changed: {},
      transitionId: `comment-${text(comment.id)}`,
      issue: { ...issue, command: { name: "build", ref } },
    },
  };
}

/** Reads a push: what moves is a branch or a tag, and what it moves to tells two pushes apart. */
export function pushMove(body: JsonObject, at: Repository, _options: GithubReading, headers: Headers): Seen {
  const ref = text(body.ref);
  const [, kind, name = ""] = /^refs\/(heads|tags)\/(.+)$/.exec(ref) ?? [];
  if (kind === undefined) throw lacks("ref");
  if (body.deleted === true) return { ignored: `${JSON.stringify(name.slice(0, 60))} was deleted` };
  const commit = text(body.after);
  const what = kind === "heads" ? "branch" : "tag";
  const { head_commit: head } = body;
  const issueKey = named(`${at.name}.${name}`);
  return {
    move: {
      ...base(body, headers),
      event: "push",
      about: "other",
      touched: null,
      issueKey,
      issueId: issueKey,
      issueUrl: null,
      project: [at.path, at.name],
      status: [],
      labels: [],
      components: [],
      issueType: [],
      changed: { [what]: [name] },
      transitionId: commit || null,
      summary: isObject(head) ? (text(head.message).split("\n")[0] ?? "") : "",
      issue: { [what]: name, commit },
    },
  };
}

type Subject = Pick<
  Move,
  | "issueKey"
  | "issueId"
  | "issueUrl"
  | "project"
  | "status"
  | "labels"
  | "components"
  | "issueType"
  | "summary"
  | "issue"
>;

function subject(
  about: JsonObject,
  at: Repository,
  { site = "https://github.com" }: GithubReading,
  isPull: boolean,
): Subject {
  const number = text(about.number);
  if (!/^\d{1,12}$/.test(number)) throw lacks("the number of the issue");
  return {
    issueKey: named(at.name, `-${number}`),
    issueId: number,
    issueUrl: `${site}/${at.path}/${isPull ? "pull" : "issues"}/${number}`,
    project: [at.path, at.name],
    status: [text(about.state), about.draft === true ? "draft" : "", about.merged === true ? "merged" : ""].filter(
      Boolean,
    ),
    labels: namesIn(about.labels),
    components: [],
    issueType: namesIn(about.type),
    summary: text(about.title),
    issue: about,
  };
}

/** What this event changed: of an issue that is new, everything. */
function change(
  body: JsonObject,
  { status, labels, issue }: Subject,
): Pick<Move, "touched" | "changed" | "transitionId"> {
  const action = text(body.action);
  if (action === "opened" || action === "ready_for_review") return { touched: null, changed: {}, transitionId: null };
  if (action === "synchronize") {
    const head = isObject(issue.head) ? text(issue.head.sha) : "";
    return { touched: null, changed: head ? { commit: [head] } : {}, transitionId: head || null };
  }
  const nothing = { transitionId: null };
  if (action === "closed" || action === "reopened") {
    return { ...nothing, touched: ["status"], changed: { status: status.slice(0, 1) } };
  }
  if (action === "labeled") return { ...nothing, touched: ["labels"], changed: { labels: namesIn(body.label) } };
  // What is left is no reason to build; it may be one to build no more.
  if (action === "unlabeled") return { ...nothing, touched: ["unlabeled"], changed: { labels } };
  if (action === "edited" && isObject(body.changes)) {
    return { ...nothing, touched: Object.keys(body.changes).map((name) => name.toLowerCase()), changed: {} };
  }
  return { ...nothing, touched: [action.toLowerCase()], changed: {} };
}

const base = (body: JsonObject, headers: Headers): Pick<Move, "deliveryId" | "requestedBy" | "body"> => ({
  deliveryId: deliveryIdIn(headers, github),
  requestedBy: loginOf(body.sender),
  body,
});

/** A key that people recognise and nothing stumbles over: `app-12`, `app.main`. */
function named(name: string, ending = ""): string {
  const plain = name.replace(/[^\w.-]/g, "-").replace(/^[^A-Za-z0-9]+/, "");
  const key = `${plain.slice(0, 64 - ending.length)}${ending}`;
  return isIssueName(key) ? key : `repository${ending}`;
}
