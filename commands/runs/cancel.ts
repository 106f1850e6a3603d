import { defineCommand } from "citty";
import { MeshError } from "../../src/core/error.ts";
import { systemUser } from "../../src/user.ts";
import { configArgs, jsonArgs, print } from "../args.ts";
import { oneRun, runArg, withStore } from "./open.ts";

export default defineCommand({
  meta: { name: "cancel", description: "End a queued run, or ask a running one to stop" },
  args: { run: runArg, ...configArgs, ...jsonArgs },
  async run({ args }) {
    const [run_id, said] = await withStore(args.config, async (store) => {
      const { run } = await oneRun(store, args.run);
      return [run.run_id, await store.cancel(run.run_id, `cancelled by ${systemUser()}`)] as const;
    });
    if (said === "over" || said === "unknown") {
      throw new MeshError("data", `run ${run_id} is over already`, { hint: `meshmac runs show ${run_id.slice(-12)}` });
    }
    print(
      args.json
        ? JSON.stringify({ run_id, cancel: said })
        : said === "asked"
          ? `asked ${run_id} to stop`
          : `cancelled ${run_id}`,
    );
  },
});
