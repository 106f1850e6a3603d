import { defineCommand } from "citty";
import { configArgs, jsonArgs, print } from "../../args.ts";
import { oneRun, withStore } from "../open.ts";
import { retry } from "../retry.ts";
import { deadRuns, whichArgs } from "./which.ts";

export default defineCommand({
  meta: { name: "retry", description: "Queue the same task again as a new run; the dead one is dropped" },
  args: { ...whichArgs, ...configArgs, ...jsonArgs },
  async run({ args }) {
    const again = await withStore(args.config, async (store) => {
      const retried = [];
      // Oldest first, as they were asked for.
      for (const { run_id } of (await deadRuns(store, args)).toReversed())
        retried.push(await retry(store, await oneRun(store, run_id)));
      return retried;
    });
    if (args.json) return print(JSON.stringify({ runs: again }));
    print(
      again.length === 0
        ? "no dead runs"
        : again.map(({ run_id, retry_of }) => `queued ${run_id} for ${retry_of}`).join("\n"),
    );
  },
});
