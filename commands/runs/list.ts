import { defineCommand } from "citty";
import { MeshError } from "../../src/core/error.ts";
import { runStates } from "../../src/core/records.ts";
import { configArgs, jsonArgs, print } from "../args.ts";
import { durationOf } from "../duration.ts";
import { withStore } from "./open.ts";
import { table, when } from "./text.ts";

export default defineCommand({
  meta: { name: "list", description: "Newest runs first" },
  args: {
    state: { type: "enum", options: [...runStates], description: "only runs in this state" },
    lane: { type: "string", description: "only this lane", valueHint: "name" },
    source: { type: "string", description: "only this source", valueHint: "name" },
    issue: { type: "string", description: "only this issue", valueHint: "key" },
    node: { type: "string", description: "only what this node has, or had last", valueHint: "name" },
    since: { type: "string", description: "only what was queued in this time", valueHint: "2h" },
    limit: { type: "string", default: "20", description: "how many", valueHint: "n" },
    cursor: { type: "string", description: "where the last page ended", valueHint: "next" },
    ...configArgs,
    ...jsonArgs,
  },
  async run({ args }) {
    const limit = Number(args.limit);
    if (!Number.isInteger(limit) || limit < 1 || limit > 1000) {
      throw new MeshError("usage", `--limit expects 1 to 1000, got ${JSON.stringify(args.limit)}`, {
        hint: "what is beyond it: --cursor with the next that the list ends with",
      });
    }
    const since = args.since === undefined ? undefined : Date.now() - durationOf("--since", args.since);
    const page = await withStore(args.config, (store) =>
      store.list({
        limit,
        ...(args.state && { states: [args.state] }),
        ...(args.lane && { lane: args.lane }),
        ...(args.source && { source: args.source }),
        ...(args.issue && { issue_key: args.issue }),
        ...(args.node && { node: args.node }),
        ...(since !== undefined && { since }),
        ...(args.cursor !== undefined && { cursor: args.cursor }),
      }),
    );
    if (args.json) return print(JSON.stringify(page));
    if (page.runs.length === 0) return print("no runs");
    print(
      table(
        ["RUN", "STATE", "ISSUE", "SCRIPT", "REF", "NODE", "QUEUED"],
        page.runs.map((run) => [
          run.run_id.slice(-12),
          run.reason ? `${run.state} (${run.reason})` : run.state,
          run.issue_key,
          run.script,
          run.ref,
          run.node ?? "",
          when(run.queued_at),
        ]),
      ),
    );
    if (page.next) print(`more: --cursor ${page.next}`);
  },
});
