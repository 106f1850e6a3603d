import { defineCommand } from "citty";
import { MeshError } from "../../src/core/error.ts";
import { isOver } from "../../src/core/records.ts";
import { retried } from "../../src/core/retried.ts";
import type { OperatorStore, Shown } from "../../src/stores/store.ts";
import { configArgs, jsonArgs, print } from "../args.ts";
import { oneRun, runArg, withStore } from "./open.ts";

export default defineCommand({
  meta: { name: "retry", description: "Queue the same task again as a new run" },
  args: { run: runArg, ...configArgs, ...jsonArgs },
  async run({ args }) {
    const again = await withStore(args.config, async (store) => {
      const shown = await oneRun(store, args.run);
      if (isOver(shown.run.state)) return await retry(store, shown);
      const { run_id } = shown.run;
      throw new MeshError("data", `run ${run_id} is not over`, { hint: `meshmac runs cancel ${run_id.slice(-12)}` });
    });
    print(args.json ? JSON.stringify(again) : `queued ${again.run_id}`);
  },
});

/** Queues the task of a run anew; answers the new run and which it repeats. */
export async function retry(store: OperatorStore, { task }: Shown): Promise<{ run_id: string; retry_of: string }> {
  const again = retried(task, Bun.randomUUIDv7(), Date.now());
  await store.accept(again);
  return { run_id: again.task.run_id, retry_of: again.retry_of };
}
