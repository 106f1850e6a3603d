import { defineCommand } from "citty";
import { MeshError } from "../../src/core/error.ts";
import { disownNode } from "../../src/gateway/nodes-enrol.ts";
import { configArgs, jsonArgs, print } from "../args.ts";
import { withStore } from "../runs/open.ts";
import { nodeArg } from "./node.ts";

export default defineCommand({
  meta: { name: "remove", description: "Take a node's token away and forget the node" },
  args: {
    node: nodeArg,
    force: { type: "boolean", description: "although it runs something, which is then lost to another node" },
    ...configArgs,
    ...jsonArgs,
  },
  async run({ args }) {
    const { node } = args;
    const { said, had } = await withStore(args.config, async (store, _masks, { config }) => {
      const forgotten = await store.forget(node, args.force === true);
      if (forgotten === "busy") throw busy(node);
      return { said: forgotten, had: disownNode(config, node) };
    });
    if (said === "unknown" && !had) {
      throw new MeshError("data", `no node ${JSON.stringify(node)}`, {
        hint: "meshmac nodes list shows what there is",
      });
    }
    print(args.json ? JSON.stringify({ node, removed: true, token: had }) : `removed ${node}`);
  },
});

const busy = (node: string): MeshError =>
  new MeshError("later", `the node ${JSON.stringify(node)} runs something`, {
    hint: `meshmac nodes drain ${node} lets it finish and leases it nothing new; --force removes it now`,
  });
