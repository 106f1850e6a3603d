import { isObject, type JsonObject } from "../core/json.ts";
import { firstSatisfied, neededPath, put } from "../core/sample.ts";
import type { BuildWhen } from "../core/wanted.ts";
import { type IssuePaths, issuePaths } from "../core/issue-paths.ts";
import { type JiraReading, readJira } from "./jira-read.ts";
import type { Sample, TrackerOptions } from "./source.ts";

/** Makes a request that satisfies the first entry of `build_when` that can be satisfied, in the plainest shape that can say it. */
export function sampleJira(options: TrackerOptions & JiraReading, number = 12): Sample {
  const body = firstSatisfied(
    options.build_when,
    (entry) => bodyFor(entry, options, number),
    (made) => readJira(made, new Headers(), options),
  );
  return { headers: { "Content-Type": "application/json" }, body };
}

function bodyFor(entry: BuildWhen, { paths, task }: TrackerOptions & JiraReading, number: number): JsonObject {
  const where = Object.entries(entry.where ?? {}).map(([path, [value]]): [string, string] => [path, value ?? ""]);
  const ref = neededPath(task.ref);
  const values = ref === undefined ? where : [...where, [ref, "main"] as const];
  const body = paths
    ? custom(entry, paths, number)
    : shaped(
        entry,
        number,
        values.some(([path]) => path.startsWith("issue.")),
      );
  // Paths are looked up in the issue first: there is where a `fields.…` path belongs.
  for (const [path, value] of values) {
    put(isObject(body.issue) && path.startsWith("fields.") ? body.issue : body, path, value);
  }
  return body;
}

/** "Issue data" (Automation format, or with the issue nested), or a native webhook where the entry asks for an event or a change. */
function shaped(entry: BuildWhen, number: number, nested: boolean): JsonObject {
  const issue: JsonObject = { id: 10_000 + number, key: keyOf(entry, number), fields: fieldsFor(entry) };
  const native = entry.event !== undefined || entry.changed !== undefined;
  if (!native) return nested ? { issue, user: person } : issue;
  const [event = "jira:issue_updated"] = entry.event ?? [];
  if (event.includes("comment")) {
    return { webhookEvent: event, comment: { author: person, body: "please build" }, issue };
  }
  return { webhookEvent: event, user: person, issue, ...changelogFor(entry) };
}

const person = { displayName: "Ada Example" };

function keyOf({ project }: BuildWhen, number: number): string {
  const [key = "MOB"] = project ?? [];
  return `${/^[A-Za-z]\w{0,20}$/.test(key) ? key : "MOB"}-${number}`;
}

function fieldsFor({ project, status, labels, components, issue_type }: BuildWhen): JsonObject {
  const [key = "MOB"] = project ?? [];
  return {
    summary: "a sample issue",
    project: { key, name: key },
    status: { name: status?.[0] ?? "Building" },
    labels: labels?.slice(0, 1) ?? [],
    components: (components?.slice(0, 1) ?? []).map((name) => ({ name })),
    issuetype: { name: issue_type?.[0] ?? "Task" },
  };
}

/** The changelog that an update of the issue would bring: of the first field in `changed`, else of a field that the entry names. */
function changelogFor({ status, labels, components, issue_type, changed }: BuildWhen): JsonObject {
  const fields: [name: string, values: string[] | undefined][] = [
    ...Object.entries(changed ?? {}).slice(0, 1),
    ["status", status],
    ["labels", labels],
    ["Component", components],
    ["issuetype", issue_type],
  ];
  const [field, values] = fields.find(([, named]) => named !== undefined) ?? [];
  if (field === undefined) return {};
  const item: JsonObject = { field, fieldtype: "jira", fromString: null };
  Object.assign(item, { toString: values?.[0] ?? "" });
  return { changelog: { id: "10227", items: [item] } };
}

/** Custom data with every configured path filled in, and the usual names where none is configured. */
function custom(entry: BuildWhen, paths: IssuePaths, number: number): JsonObject {
  const body: JsonObject = {};
  const values: Partial<Record<keyof IssuePaths, string | undefined>> = {
    issue_key: keyOf(entry, number),
    event: entry.event?.[0],
    project: entry.project?.[0],
    status: entry.status?.[0] ?? "Building",
    labels: entry.labels?.[0],
    components: entry.components?.[0],
    issue_type: entry.issue_type?.[0],
    summary: "a sample issue",
    requested_by: person.displayName,
  };
  for (const fact of issuePaths.keyof().options) {
    const value = values[fact];
    if (value !== undefined) put(body, paths[fact] ?? fact, value);
  }
  return entry.changed ? { ...body, ...changelogFor(entry) } : body;
}
