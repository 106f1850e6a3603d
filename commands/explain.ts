import { defineCommand } from "citty";
import { configArgs, jsonArgs } from "./args.ts";
import { listOf } from "./flags.ts";

export default defineCommand({
  meta: { name: "explain", description: "Say, offline, what a door would make of a body, and why" },
  args: {
    source: { type: "positional", description: "the source, as the configuration calls it", required: true },
    body: { type: "positional", description: "the file of the body; - reads standard input", required: true },
    header: {
      type: "string",
      description: "a header of the delivery, with the token or signature: then it is verified too; may be repeated",
      valueHint: "name: value",
    },
    ...configArgs,
    ...jsonArgs,
  },
  async run({ args, rawArgs }) {
    const { explainFrom } = await import("./explain/run.ts");
    await explainFrom({ ...args, headers: listOf(rawArgs, "header") });
  },
});
