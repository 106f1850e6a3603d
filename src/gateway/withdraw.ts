import type { Store } from "../stores/store.ts";

/** An issue of which no run is wanted any more. */
export interface Unwanted {
  source: string;
  issue_key: string;
  why: string;
  /** Only the run ends that waits for a later move of the issue (`debounce`); else every queued one. */
  debounced?: true;
}

/** Ends every queued run of an issue; a run that a node has goes on. Answers their ids. A repeat finds nothing more to end. */
export async function withdraw(
  store: Pick<Store, "list" | "cancel" | "callOff">,
  { source, issue_key, why, debounced }: Unwanted,
): Promise<string[]> {
  if (debounced) return [await store.callOff(source, issue_key, why)].filter((ended) => ended !== null);
  const { runs } = await store.list({ states: ["queued"], source, issue_key, limit: mostQueued });
  const ended: string[] = [];
  for (const { run_id } of runs) if ((await store.cancel(run_id, why)) === "cancelled") ended.push(run_id);
  return ended;
}

// More than one is queued only where an issue asked for several builds.
const mostQueued = 100;
