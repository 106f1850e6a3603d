import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describePreview } from "../../commands/notify/text.ts";
import { type Config, configFrom } from "../../src/config.ts";
import type { Report } from "../../src/core/records.ts";
import { previewsOf } from "../../src/gateway/notify-preview.ts";

// The page about chats shows what `meshmac notify --dry-run` prints. `bun test/docs/page.ts` writes it anew.

export const chatsPage = join(import.meta.dir, "../../docs/chats.md");

export const blocks = /^```(yaml|text (?:succeeded|failed))\n([\s\S]*?)^```$/gm;

/** Reads a configuration as a page prints it. Throws what `config check` would say. */
export const configIn = (yaml: string): Config => configFrom(Bun.YAML.parse(yaml), { base: "/", env: {} }).config;

/** Fills the examples of a page: each prints the report that it names to the chats of the configuration above it. */
export function filled(page: string): string {
  let yaml = "";
  return page.replace(blocks, (block, kind: string, body: string) => {
    if (kind !== "yaml")
      return `\`\`\`${kind}\n${printed(yaml, kind === "text failed" ? "failed" : "succeeded")}\n\`\`\``;
    yaml = body;
    return block;
  });
}

function printed(yaml: string, state: Report["state"]): string {
  const { config, vault } = configFrom(Bun.YAML.parse(yaml), { base: "/", env: {} });
  const previews = previewsOf({ config, vault, report: { ...report, state, ...(state === "failed" && fault) } }, noon);
  return previews.map(describePreview).join("\n\n");
}

const noon = Date.UTC(2026, 10, 20, 12);

// What the commands on the page say.
const report: Report = {
  source: "notify",
  workflow: "nightly",
  state: "succeeded",
  branch: "main",
  commit: "9f3c2ab1d04e7c55",
  run_url: "https://ci.acme.example/runs/512",
  mesh_node_id: "mac-07",
  provider_run_id: "512",
  failing_target: null,
};
const fault = { failing_target: "AppTests/LoginTests" };

if (import.meta.main) writeFileSync(chatsPage, filled(readFileSync(chatsPage, "utf8")));
