import { defineCommand } from "citty";
import { MeshError } from "../src/core/error.ts";
import { maskedTask } from "../src/gateway/masked-store.ts";
import { reconcile, type Reconciled, searchedDoors } from "../src/gateway/reconcile.ts";
import { configArgs, jsonArgs, print } from "./args.ts";
import { withStore } from "./runs/open.ts";
import { table } from "./runs/text.ts";

export default defineCommand({
  meta: { name: "reconcile", description: "Ask the trackers for issues whose move was missed, and queue them" },
  args: {
    source: { type: "string", description: "only this source", valueHint: "name" },
    "dry-run": { type: "boolean", description: "only say what is missing" },
    ...configArgs,
    ...jsonArgs,
  },
  async run({ args }) {
    const found = await withStore(args.config, async (store, masks, { config }) => {
      const doors = searchedDoors(config);
      const names = doors.map(({ name }) => name);
      const chosen = args.source === undefined ? doors : doors.filter(({ name }) => name === args.source);
      if (chosen.length === 0) throw nothingToSearch(args.source, names);
      const options = {
        config,
        store,
        accept: (entry: Parameters<typeof store.accept>[0]) => store.accept(maskedTask(entry, masks)),
      };
      const all: Reconciled[] = [];
      for (const door of chosen) all.push(...(await reconcile(door, options, { dryRun: args["dry-run"] ?? false })));
      return all;
    });
    print(args.json ? JSON.stringify({ issues: found }) : described(found));
  },
});

function described(found: Reconciled[]): string {
  if (found.length === 0) return "no issue is in the build state";
  return table(
    ["SOURCE", "ISSUE", "MOVED", "OUTCOME", "RUN", "WHY"],
    found.map(({ source, issue_key, moved_at, outcome, run_id, reason }) => [
      source,
      issue_key,
      new Date(moved_at).toISOString(),
      outcome,
      run_id?.slice(-12) ?? "",
      reason ?? "",
    ]),
  );
}

const nothingToSearch = (source: string | undefined, names: string[]): MeshError =>
  source === undefined
    ? new MeshError("config", "no source has reconcile", { hint: "give a tracker reconcile: { query: … }" })
    : new MeshError("usage", `no source ${JSON.stringify(source)} has reconcile`, {
        hint: names.length > 0 ? `there is ${names.join(", ")}` : "give a tracker reconcile: { query: … }",
      });
