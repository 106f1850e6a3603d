import { isObject, type Json, parseStranger, text } from "../core/json.ts";
import { webRoot } from "../core/web-root.ts";
import { type FoundMove, type Search, searchOptions } from "./source.ts";
import type { Options } from "./youtrack-comment.ts";

const options = () => searchOptions.extend({ site: webRoot.optional() });

const pageSize = 100;
const fields =
  "timestamp,author(login,fullName),target(idReadable,summary,project(shortName,name)),field(name,customField(name)),added(name,presentation,fullName,login)";

/**
 * Changes of custom fields of the issues that a query finds, the latest first: an issue's own `updated` rises with every
 * comment, ours too, and says nothing of when it moved.
 * https://www.jetbrains.com/help/youtrack/devportal/resource-api-activities.html
 */
export const youtrackSearch: Search<ReturnType<typeof options>, Options> = {
  get options() {
    return options();
  },

  find({ account, query, since }, cursor) {
    const said = new URLSearchParams({
      categories: "CustomFieldCategory",
      issueQuery: query,
      start: String(since),
      reverse: "true",
      fields,
      $top: String(pageSize),
      $skip: cursor ?? "0",
    });
    const url = `${account.site}/api/activities?${said}`;
    return { method: "GET", url, headers: { Accept: "application/json" }, bearer: account.token };
  },

  read({ text: said }, cursor) {
    const activities = listIn(said);
    if (!activities) return null;
    const next = activities.length < pageSize ? null : String(Number(cursor ?? 0) + activities.length);
    return { moves: activities.flatMap((activity) => moveOf(activity) ?? []), next };
  },
};

function listIn(said: string): Json[] | null {
  try {
    const parsed = parseStranger(said);
    return Array.isArray(parsed) ? parsed : null;
  } catch {
    return null;
  }
}

/** Tells of one change as the Webhook Triggers app does. */
function moveOf(activity: Json): FoundMove | null {
  if (!isObject(activity)) return null;
  const { timestamp: at, target, field, added = null, author = null } = activity;
  if (typeof at !== "number" || !isObject(target) || !isObject(field)) return null;
  const { customField } = field;
  const name = (isObject(customField) && text(customField.name)) || text(field.name);
  const { idReadable: id = null, summary = null, project = null } = target;
  const timestamp = new Date(at).toISOString();
  const changedFields = [{ name, oldValue: null, value: added }];
  return { at, body: { event: "issueUpdated", timestamp, id, summary, project, updatedBy: author, changedFields } };
}
