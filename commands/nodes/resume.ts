import { defineCommand } from "citty";
import { configArgs, jsonArgs, print } from "../args.ts";
import { nodeArg, setMode } from "./node.ts";

export default defineCommand({
  meta: { name: "resume", description: "Lease to a drained node again" },
  args: { node: nodeArg, ...configArgs, ...jsonArgs },
  async run({ args }) {
    await setMode(args.config, args.node, "active", null);
    print(args.json ? JSON.stringify({ node: args.node, mode: "active", why: null }) : `resumed ${args.node}`);
  },
});
