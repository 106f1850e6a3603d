import { defineCommand } from "citty";
import { MeshError } from "../../src/core/error.ts";
import { isOver } from "../../src/core/records.ts";
import { retried } from "../../src/core/retried.ts";
import { configArgs, jsonArgs, print } from "../args.ts";
import { oneRun, runArg, withStore } from "./open.ts";

export default defineCommand({
  meta: { name: "retry", description: "Queue the same task again as a new run" },
  args: { run: runArg, ...configArgs, ...jsonArgs },
  async run({ args }) {
    const entry = await withStore(args.config, async (store) => {
      const { run, task } = await oneRun(store, args.run);
      if (!isOver(run.state)) {
        throw new MeshError("data", `run ${run.run_id} is not over`, {
          hint: `meshmac runs cancel ${run.run_id.slice(-12)}`,
        });
      }
      const again = retried(task, Bun.randomUUIDv7(), Date.now());
      await store.accept(again);
      return again;
    });
    print(
      args.json
        ? JSON.stringify({ run_id: entry.task.run_id, retry_of: entry.retry_of })
        : `queued ${entry.task.run_id}`,
    );
  },
});
