import type { Store } from "../stores/store.ts";

/** Ends every run of an issue that still waits; a run that a node has goes on. Answers their ids. A repeat finds nothing more to end. */
export async function withdraw(
  store: Pick<Store, "list" | "cancel">,
  { source, issue_key, why }: { source: string; issue_key: string; why: string },
): Promise<string[]> {
  const { runs } = await store.list({ states: ["queued"], source, issue_key, limit: mostQueued });
  const ended: string[] = [];
  for (const { run_id } of runs) if ((await store.cancel(run_id, why)) === "cancelled") ended.push(run_id);
  return ended;
}

// More than one is queued only where an issue asked for several builds.
const mostQueued = 100;
