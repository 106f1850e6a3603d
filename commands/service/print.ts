import { resolve } from "node:path";
import { defineCommand } from "citty";
import { textOf } from "../../src/service/install.ts";
import { thisMachine } from "../../src/service/machine.ts";
import { platforms } from "../../src/service/plan.ts";
import { planArgs, planFrom } from "./plan.ts";

export default defineCommand({
  meta: { name: "print", description: "Print the service's file and touch nothing" },
  args: {
    platform: { type: "enum", options: [...platforms], description: "for which system (this one)" },
    binary: { type: "string", description: "the meshmac that it runs (this one)", valueHint: "path" },
    ...planArgs,
  },
  async run({ args }) {
    const { platform, binary } = args;
    const other = { ...(platform && { platform }), ...(binary !== undefined && { binary: resolve(binary) }) };
    const plan = await planFrom(args, await thisMachine(), other);
    process.stdout.write(textOf(plan));
  },
});
