import { defineCommand } from "citty";
import { loadConfig } from "../../src/config.ts";
import { enrolNode } from "../../src/gateway/nodes-enrol.ts";
import { configArgs, print } from "../args.ts";
import { nodeArg } from "./node.ts";

export default defineCommand({
  meta: { name: "add", description: "Make a token for a node and print the line to type on it" },
  args: { node: nodeArg, ...configArgs },
  async run({ args }) {
    const { config } = await loadConfig({ file: args.config });
    const { token, line } = enrolNode(config, args.node);
    process.stderr.write(
      `wrote ${token} under ${config.secrets_dir}; type this line on ${args.node}, then start meshmac work there.\n` +
        "It holds the token, which is shown here and nowhere else: clear it from the shell's history there.\n",
    );
    print(line);
  },
});
