import { defineCommand } from "citty";
import { configArgs, jsonArgs, print } from "../args.ts";
import { withStore } from "./open.ts";
import { table, when } from "./text.ts";

export default defineCommand({
  meta: { name: "ignored", description: "The last deliveries that asked for no build, and why" },
  args: { ...configArgs, ...jsonArgs },
  async run({ args }) {
    const deliveries = await withStore(args.config, (store) => store.deliveries(50, "ignored"));
    if (args.json) return print(JSON.stringify({ deliveries }));
    if (deliveries.length === 0) return print("no ignored deliveries");
    const rows = deliveries.map(({ at, source, issue_key, reason }) => [
      when(at),
      source,
      issue_key ?? "",
      reason ?? "",
    ]);
    print(table(["AT", "SOURCE", "ISSUE", "REASON"], rows));
  },
});
