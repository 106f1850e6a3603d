import type { Json, JsonObject } from "../../src/core/json.ts";
import { type Answered, openRemote, type Received } from "./remote.ts";
import { carelessness, json } from "./strict.ts";

/** An issue in the state that the query names. */
export interface Standing {
  key: string;
  /** When it got there, epoch milliseconds. */
  at: number;
  /** Id of the change that brought it there; without one it was created there. */
  change?: string;
  fields?: JsonObject;
}

export interface SearchedTracker extends Disposable {
  url: string;
  /** Who stands there now; a test changes it. */
  standing: Standing[];
  requests: Received[];
  faults: string[];
}

// Smaller than anybody asks for: the real ones give fewer than asked where issues are large.
const page = 7;

/** Jira Cloud's search by JQL: Basic, GET, a bounded query, pages by token, the history of each issue where it is asked for. */
export function openJiraSearch(query: string): SearchedTracker {
  return openSearch((request, standing) => {
    const { query: said } = request;
    if (request.path !== "/rest/api/3/search/jql") return json(404, { errorMessages: ["no such resource"] });
    if (!/^Basic [A-Za-z0-9+/]+=*$/.test(request.headers.get("authorization") ?? "")) return json(401, {});
    if (said.get("jql") !== query) return json(400, { errorMessages: ["Error in the JQL Query"] });
    const known = ["jql", "fields", "expand", "maxResults", "nextPageToken"];
    const stranger = [...said.keys()].find((name) => !known.includes(name));
    if (stranger !== undefined) return `the parameter ${stranger}`;
    const from = Number(/^page-(\d+)$/.exec(said.get("nextPageToken") ?? "page-0")?.[1]);
    const issues = standing.slice(from, from + page).map((one) => jiraIssue(one, said.get("expand") === "changelog"));
    const isLast = from + page >= standing.length;
    return json(200, { issues, isLast, ...(!isLast && { nextPageToken: `page-${from + page}` }) });
  });
}

/** An issue as Jira Cloud's REST has it, its latest change a cosmetic one. */
export function jiraIssue({ key, at, change, fields }: Standing, history: boolean): JsonObject {
  const time = (ms: number) => new Date(ms).toISOString().replace("Z", "+0000");
  const author = { displayName: "Ada Example", accountId: "5b10" };
  const edit = (id: string, created: number, field: string, toString: string) => ({
    id,
    author,
    created: time(created),
    items: [{ field, fieldId: field, from: "1", fromString: "To Do", to: "3", toString }],
  });
  const histories = [
    edit("99001", at + 5000, "description", "new words"),
    ...(change === undefined ? [] : [edit(change, at, "status", "Building")]),
    edit("10001", at - 3_600_000, "status", "To Do"),
  ];
  return {
    id: String(10_000 + Number(key.split("-")[1])),
    key,
    fields: {
      summary: `Ship ${key}`,
      status: { name: "Building" },
      labels: ["ci-build"],
      project: { key: "MOB", name: "Mobile" },
      issuetype: { name: "Task" },
      created: time(at),
      statuscategorychangedate: time(change === undefined ? at : at - 3_600_000),
      ...fields,
    },
    ...(history && {
      changelog: { startAt: 0, maxResults: 40, total: 3, histories: change === undefined ? [] : histories },
    }),
  };
}

/** YouTrack's activities: Bearer, GET, changes of custom fields since `start`, the latest first. */
export function openYouTrackSearch(query: string): SearchedTracker {
  return openSearch((request, standing) => {
    const { query: said } = request;
    if (request.path !== "/api/activities") return json(404, { error: "Not Found" });
    if (!/^Bearer \S+$/.test(request.headers.get("authorization") ?? "")) return json(401, { error: "Unauthorized" });
    if (said.get("issueQuery") !== query) return json(400, { error: "invalid_query" });
    if (said.get("categories") !== "CustomFieldCategory") return "no categories";
    if (said.get("reverse") !== "true") return "the oldest first";
    const start = Number(said.get("start"));
    const all = standing
      .filter(({ at }) => at >= start)
      .flatMap(({ key, at }) => [
        activity(key, at - 60_000, "Stage", "To Do"),
        activity(key, at, "Stage", "Building"),
        activity(key, at + 30_000, "Priority", "Major"),
      ])
      .toSorted((one, other) => Number(other.timestamp) - Number(one.timestamp));
    const skip = Number(said.get("$skip"));
    return json(200, all.slice(skip, skip + Number(said.get("$top"))));
  });
}

const activity = (key: string, timestamp: number, field: string, value: string): JsonObject => ({
  $type: "CustomFieldActivityItem",
  timestamp,
  author: { login: "ada", fullName: "Ada Example" },
  target: { idReadable: key, summary: `Ship ${key}`, project: { shortName: "MOB", name: "Mobile" } },
  field: { name: field, customField: { name: field } },
  added: [{ name: value }] as Json,
});

function openSearch(answer: (request: Received, standing: Standing[]) => Answered | string): SearchedTracker {
  const standing: Standing[] = [];
  const faults: string[] = [];
  const service = (request: Received): Answered => {
    const careless = carelessness(request, "tracker") ?? (request.method === "GET" ? null : request.method);
    const answered = careless ?? answer(request, standing);
    if (typeof answered !== "string") return answered;
    faults.push(answered);
    return json(400, { errorMessages: [answered] });
  };
  const { url, requests, close } = openRemote({ service });
  return { url, standing, requests, faults, [Symbol.dispose]: close };
}
