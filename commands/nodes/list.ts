import { defineCommand } from "citty";
import { nodeOf, nodeTokens } from "../../src/gateway/nodes-tokens.ts";
import { configArgs, jsonArgs, print } from "../args.ts";
import { withStore } from "../runs/open.ts";
import { table, when } from "../runs/text.ts";

export default defineCommand({
  meta: { name: "list", description: "Every node that has asked for work, or has a token to do so" },
  args: { ...configArgs, ...jsonArgs },
  async run({ args }) {
    const { rows, tokens } = await withStore(args.config, async (store, _masks, { vault }) => ({
      rows: await store.nodes(),
      tokens: vault.tokens(nodeTokens).map(nodeOf),
    }));
    const unseen = tokens.filter((node) => !rows.some((row) => row.node === node));
    if (args.json) {
      const nodes = rows.map((row) => ({ ...row, token: tokens.includes(row.node) }));
      return print(JSON.stringify({ nodes, unseen }));
    }
    if (rows.length + unseen.length === 0) return print("no nodes");
    print(
      table(
        ["NODE", "MODE", "LAST SEEN", "RUNS", "VERSION", "LABELS", "WHY"],
        [
          ...rows.map(({ node, mode, last_seen, running, facts, why }) => [
            node,
            mode,
            when(last_seen),
            running.map(({ run_id }) => run_id.slice(-12)).join(" "),
            facts.version,
            facts.labels.join(" "),
            why ?? "",
          ]),
          ...unseen.map((node) => [node, "never seen", "", "", "", "", ""]),
        ],
      ),
    );
  },
});
