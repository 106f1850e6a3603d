import { defineCommand } from "citty";
import { configArgs, jsonArgs, print } from "../args.ts";
import { nodeArg, setMode } from "./node.ts";

export default defineCommand({
  meta: { name: "drain", description: "Lease a node nothing new; what it runs goes on" },
  args: {
    node: nodeArg,
    why: { type: "string", description: "shown wherever the node is", valueHint: "text" },
    ...configArgs,
    ...jsonArgs,
  },
  async run({ args }) {
    const why = args.why ?? null;
    await setMode(args.config, args.node, "drained", why);
    print(args.json ? JSON.stringify({ node: args.node, mode: "drained", why }) : `drained ${args.node}`);
  },
});
