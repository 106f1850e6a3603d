import type { Json, JsonObject } from "../core/json.ts";
import { firstSatisfied, neededPath, put } from "../core/sample.ts";
import type { BuildWhen } from "../core/wanted.ts";
import type { Sample, TrackerOptions } from "./source.ts";
import { readYoutrack } from "./youtrack-read.ts";

/** Makes a request that satisfies the first entry of `build_when` that can be satisfied, as release 1.0.5 would send it. */
export function sampleYoutrack(options: TrackerOptions, number = 12): Sample {
  const body = firstSatisfied(
    options.build_when,
    (entry) => bodyFor(entry, options, number),
    (made) => readYoutrack(made, new Headers(), {}),
  );
  return { headers: { "Content-Type": "application/json" }, body };
}

const person = { login: "ada", fullName: "Ada Example", email: "ada@acme.example" };

function bodyFor(entry: BuildWhen, { task }: TrackerOptions, number: number): JsonObject {
  const event = entry.event?.[0] ?? "issueUpdated";
  const project = entry.project?.[0] ?? "MOB";
  const id = `${/^[A-Za-z]\w{0,20}$/.test(project) ? project : "MOB"}-${number}`;
  const body: JsonObject = {
    event,
    timestamp: "2026-01-01T12:00:00.000Z",
    id,
    summary: "a sample issue",
    project: { key: project, name: project, shortName: project },
    ...contentOf(event, changesFor(entry)),
  };
  for (const [path, [value]] of Object.entries(entry.where ?? {})) put(body, path, value ?? "");
  const ref = neededPath(task.ref);
  if (ref !== undefined) put(body, ref, "main");
  return body;
}

function contentOf(event: string, changedFields: Json[]): JsonObject {
  if (event === "issueCreated") return { reporter: person };
  if (event.startsWith("comment")) return { comments: [{ text: "please build", author: person }] };
  if (event.startsWith("workItem")) return { workItems: [{ author: person, type: null }] };
  if (event.startsWith("issueAttachment")) return { attachments: [{ name: "log.txt", author: person }] };
  return event === "issueUpdated" ? { updatedBy: person, changedFields } : {};
}

function changesFor({ status, labels, components, issue_type, changed }: BuildWhen): Json[] {
  const fields: [name: string, values: string[] | undefined][] = [
    ...Object.entries(changed ?? {}).slice(0, 1),
    ["State", status],
    ["Tags", labels],
    ["Subsystem", components],
    ["Type", issue_type],
  ];
  return fields.flatMap(([name, values]) => {
    const [value] = values ?? [];
    return value === undefined ? [] : [{ name, oldValue: null, value: { name: value, presentation: value } }];
  });
}
