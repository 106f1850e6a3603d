import { MeshError } from "../core/error.ts";

/** So many runs are looked for that end in what was given: those that are named, and one more. */
export const mostMeant = 6;

/** Says that what was given of an id ends several runs, and which. */
export function severalRuns(ending: string, runs: readonly string[]): MeshError {
  const named = runs.slice(0, mostMeant - 1).toSorted();
  const meant = `${named.join(", ")}${runs.length > named.length ? " and more" : ""}`;
  return new MeshError("data", `${JSON.stringify(ending)} is ambiguous, several runs end so`, {
    hint: `give more of the id: ${meant}`,
  });
}
