import type { JsonObject } from "../core/json.ts";
import { firstSatisfied, neededPath, put } from "../core/sample.ts";
import type { BuildWhen } from "../core/wanted.ts";
import { readLinear } from "./linear-read.ts";
import type { Sample, TrackerOptions } from "./source.ts";

/** Makes a request that satisfies the first entry of `build_when` that can be satisfied. */
export function sampleLinear(options: TrackerOptions, number = 12): Sample {
  const body = firstSatisfied(
    options.build_when,
    (entry) => bodyFor(entry, options, number),
    (made) => readLinear(made, new Headers()),
  );
  return { headers: { "Content-Type": "application/json" }, body };
}

function bodyFor(entry: BuildWhen, { task }: TrackerOptions, number: number): JsonObject {
  const [type = "Issue", action = "update"] = (entry.event?.[0] ?? "Issue.update").split(".");
  const [team = "MOB"] = entry.project ?? [];
  const key = /^[A-Za-z]\w{0,20}$/.test(team) ? team : "MOB";
  const label = entry.labels?.[0] ?? entry.changed?.labels?.[0];
  const issue: JsonObject = {
    id: `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`,
    identifier: `${key}-${number}`,
    number,
    title: "a sample issue",
    state: { name: entry.status?.[0] ?? entry.changed?.status?.[0] ?? "Building", type: "started" },
    team: { key, name: team },
    labels: label === undefined ? [] : [{ id: "label-1", name: label }],
  };
  const data = type === "Issue" ? issue : { body: "please build", issue };
  const byLabel = label !== undefined && entry.status === undefined && entry.changed?.status === undefined;
  const updatedFrom: JsonObject = byLabel ? { labelIds: [] } : { stateId: "state-1" };
  const body: JsonObject = {
    type,
    action,
    data,
    actor: { name: "Ada Example" },
    ...(type === "Issue" && action === "update" && { updatedFrom }),
  };
  for (const [path, [value]] of Object.entries(entry.where ?? {}))
    put(path.startsWith("data.") ? body : issue, path, value ?? "");
  const ref = neededPath(task.ref);
  if (ref !== undefined) put(ref.startsWith("data.") ? body : issue, ref, "main");
  return body;
}
