import { defineCommand } from "citty";
import { configArgs, jsonArgs, print } from "../../args.ts";
import { withStore } from "../open.ts";
import { table, when } from "../text.ts";
import { everyDead } from "./which.ts";

export default defineCommand({
  meta: { name: "list", description: "Dead runs that nobody has retried or dropped" },
  args: { ...configArgs, ...jsonArgs },
  async run({ args }) {
    const runs = await withStore(args.config, everyDead);
    if (args.json) return print(JSON.stringify({ runs }));
    if (runs.length === 0) return print("no dead runs");
    const rows = runs.map(({ run_id, reason, issue_key, script, lane, node, ended_at }) => [
      run_id.slice(-12),
      issue_key,
      script,
      lane,
      node ?? "",
      ended_at === null ? "" : when(ended_at),
      reason ?? "",
    ]);
    print(table(["RUN", "ISSUE", "SCRIPT", "LANE", "LAST NODE", "DIED", "REASON"], rows));
  },
});
