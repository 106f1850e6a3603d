import { defineCommand } from "citty";
import { configArgs, jsonArgs, print } from "../../args.ts";
import { withStore } from "../open.ts";
import { deadRuns, whichArgs } from "./which.ts";

export default defineCommand({
  meta: { name: "drop", description: "Say of a dead run that it needs nobody's attention any more" },
  args: { ...whichArgs, ...configArgs, ...jsonArgs },
  async run({ args }) {
    const dropped = await withStore(args.config, async (store) => {
      const runs = await deadRuns(store, args);
      for (const { run_id } of runs) await store.drop(run_id);
      return runs.map(({ run_id }) => run_id);
    });
    if (args.json) return print(JSON.stringify({ dropped }));
    print(dropped.length === 0 ? "no dead runs" : dropped.map((run_id) => `dropped ${run_id}`).join("\n"));
  },
});
