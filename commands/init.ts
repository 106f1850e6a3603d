import { defineCommand } from "citty";
import { jsonArgs } from "./args.ts";

export default defineCommand({
  meta: { name: "init", description: "Write a configuration and its tokens, and say what to paste where" },
  args: {
    yes: { type: "boolean", description: "ask nothing: take the flags, and what is usual for the rest" },
    dir: { type: "string", description: "where to write; default: here", valueHint: "folder" },
    pool: { type: "string", description: "name of the pool", valueHint: "name" },
    "public-url": { type: "string", description: "how trackers reach the gateway", valueHint: "https://…" },
    sources: { type: "string", description: "where issues move", valueHint: "kind,kind" },
    chats: { type: "string", description: "who is told", valueHint: "kind,kind" },
    status: { type: "string", description: "the status of an issue that asks for a build", valueHint: "name" },
    script: { type: "string", description: "the script that builds, in scripts_dir", valueHint: "name" },
    store: { type: "string", description: "sqlite:<file> or redis://…", valueHint: "url" },
    group: { type: "string", description: "the group that may read the secrets", valueHint: "name" },
    ...jsonArgs,
  },
  async run({ args }) {
    const { initFrom } = await import("./init/run.ts");
    await initFrom(args);
  },
});
