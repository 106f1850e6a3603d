import { MeshError } from "../../../src/core/error.ts";
import type { Run } from "../../../src/core/records.ts";
import type { OperatorStore } from "../../../src/stores/store.ts";
import { oneRun } from "../open.ts";

export const whichArgs = {
  run: { type: "positional", description: "run id, or a unique ending of it", required: false },
  all: { type: "boolean", description: "every dead run" },
} as const;

/** Every dead run that nobody has retried or dropped, newest first. */
export async function everyDead(store: OperatorStore): Promise<Run[]> {
  const runs: Run[] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page = await store.list({ states: ["dead"], dropped: false, limit: 1000, ...(cursor && { cursor }) });
    runs.push(...page.runs);
    cursor = page.next;
  }
  return runs;
}

/** The dead runs that are meant: one, or with `--all` every one; throws `data` where the one is not dead, `usage` where it is not said. */
export async function deadRuns(
  store: OperatorStore,
  { run, all }: { run?: string | undefined; all?: boolean | undefined },
): Promise<Run[]> {
  if ((run === undefined) === !all)
    throw new MeshError("usage", "name one run, or say --all", {
      hint: "meshmac runs dead list shows the dead ones",
    });
  if (run === undefined) return await everyDead(store);
  const found = (await oneRun(store, run)).run;
  if (found.state === "dead") return [found];
  throw new MeshError("data", `run ${found.run_id} is ${found.state}`, {
    hint: "meshmac runs dead list shows the dead ones",
  });
}
