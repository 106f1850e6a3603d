import { z } from "zod";
import { isObject, type Json, type JsonObject, objectIn, text } from "../core/json.ts";
import { apiOf, asWhom, type Options } from "./jira-rest.ts";
import { webRoot } from "../core/web-root.ts";
import { type FoundMove, type Search, searchOptions } from "./source.ts";

const options = () =>
  searchOptions.extend({
    site: webRoot.optional(),
    email: z.string().min(3).optional(),
    api: z.enum(["cloud", "datacenter"]).optional(),
    base_url: webRoot.optional(),
  });

// With all fields and their history an issue may take 50 KB.
const pageSize = 25;

/**
 * Issues by JQL with their history: Cloud's search by token, Data Center's by offset.
 * https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-search/
 */
export const jiraSearch: Search<ReturnType<typeof options>, Options> = {
  get options() {
    return options();
  },

  find({ account, query }, cursor) {
    const cloud = apiOf(account) === "cloud";
    const said = new URLSearchParams({
      jql: query,
      fields: "*all,-comment,-attachment,-worklog",
      expand: "changelog",
      maxResults: String(pageSize),
    });
    if (cursor !== null) said.set(cloud ? "nextPageToken" : "startAt", cursor);
    const path = cloud ? "/rest/api/3/search/jql" : "/rest/api/2/search";
    return { method: "GET", url: `${account.base_url ?? account.site}${path}?${said}`, ...asWhom(account) };
  },

  read({ text: said }, cursor) {
    const { issues, nextPageToken, total } = objectIn(said);
    if (!Array.isArray(issues)) return null;
    const moves = issues.flatMap((issue) => moveOf(issue) ?? []);
    if (typeof nextPageToken === "string") return { moves, next: nextPageToken };
    const read = Number(cursor ?? 0) + issues.length;
    const isMore = typeof total === "number" && issues.length > 0 && read < total;
    return { moves, next: isMore ? String(read) : null };
  },
};

/** Tells of the last change of the status as the native webhook does; of an issue that was never moved, as of its creation. */
function moveOf(issue: Json): FoundMove | null {
  if (!isObject(issue)) return null;
  const { changelog, ...rest } = issue;
  const moved = lastMove(changelog);
  if (moved) {
    const { id = null, items = null, author = null } = moved.history;
    const body = { webhookEvent: "jira:issue_updated", timestamp: moved.at, user: author, issue: rest };
    return { at: moved.at, body: { ...body, changelog: { id, items } } };
  }
  const fields = isObject(issue.fields) ? issue.fields : {};
  // The history in a search is cut off behind the latest changes.
  const at = Date.parse(text(fields.statuscategorychangedate) || text(fields.created));
  if (Number.isNaN(at)) return null;
  return { at, body: { webhookEvent: "jira:issue_created", timestamp: at, user: fields.creator ?? null, issue: rest } };
}

function lastMove(changelog: Json | undefined): { at: number; history: JsonObject } | undefined {
  const histories = isObject(changelog) && Array.isArray(changelog.histories) ? changelog.histories : [];
  return histories
    .filter(isObject)
    .filter(
      ({ items }) => Array.isArray(items) && items.some((item) => isObject(item) && text(item.field) === "status"),
    )
    .map((history) => ({ at: Date.parse(text(history.created)), history }))
    .filter(({ at }) => !Number.isNaN(at))
    .toSorted((one, other) => other.at - one.at)[0];
}
