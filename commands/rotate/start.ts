import { defineCommand } from "citty";
import { configArgs, jsonArgs } from "../args.ts";
import { reasons } from "../../src/secrets/ledger.ts";

export default defineCommand({
  meta: { name: "start", description: "Stage a new value beside the current one" },
  args: {
    secret: {
      type: "positional",
      required: false,
      description: "path of the secret under secrets_dir, or tls",
      valueHint: "secret",
    },
    stdin: { type: "boolean", description: "take the new value from standard input instead of drawing one" },
    all: { type: "boolean", description: "every secret, in the order of an incident" },
    owner: { type: "string", description: "with --all: only those of this owner", valueHint: "name" },
    reason: { type: "enum", options: [...reasons], default: "planned", description: "incident makes the window 0" },
    test: {
      type: "boolean",
      description: "send a test post with the new value; pagers only with it, chats unless --no-test",
    },
    ...configArgs,
    ...jsonArgs,
  },
  async run({ args }) {
    const { startFrom } = await import("./start/run.ts");
    await startFrom(args);
  },
});
