import { defineCommand } from "citty";
import { reportStates } from "../src/core/records.ts";
import { configArgs, jsonArgs } from "./args.ts";

export default defineCommand({
  meta: { name: "notify", description: "Tell the chats of a build that something else ran" },
  args: {
    workflow: { type: "string", description: "what was built", valueHint: "name" },
    state: { type: "enum", options: [...reportStates], description: "how it ended" },
    branch: { type: "string", description: "the branch that was built", valueHint: "name" },
    commit: { type: "string", description: "the commit that was built", valueHint: "sha" },
    "run-url": { type: "string", description: "page of the build", valueHint: "url" },
    node: { type: "string", description: "machine that built; default: this one", valueHint: "name" },
    "provider-run-id": {
      type: "string",
      description: "the build's own id: with it, a repeat of the same state tells nobody twice",
      valueHint: "id",
    },
    "failing-target": { type: "string", description: "what failed", valueHint: "name" },
    chat: { type: "string", description: "tell this chat alone", valueHint: "name" },
    "dry-run": { type: "boolean", description: "print the requests, secrets by name; send nothing" },
    test: {
      type: "string",
      description: "send a test to this chat or pager, print what it answered",
      valueHint: "name",
    },
    plain: { type: "boolean", description: "with --test: the minimal layout" },
    ...configArgs,
    ...jsonArgs,
  },
  async run({ args }) {
    const { notifyFrom } = await import("./notify/run.ts");
    await notifyFrom(args);
  },
});
