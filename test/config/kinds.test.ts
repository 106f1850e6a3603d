import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "c12";
import { configSchema } from "../../src/config.ts";
import { kindsIn } from "../../src/config/kinds.ts";

const raw = {
  sources: {
    jira: {
      kind: "jira",
      path: "/jira",
      token: "jira/inbound.token",
      build_when: [{ status: ["Building"] }],
      task: { script: "build-ios" },
    },
    hub: { kind: "github", path: "/github", token: "github/inbound.token" },
  },
  chats: { builds: { kind: "mattermost", url: "mattermost/builds.url" } },
  pagers: { oncall: { kind: "chat", chat: "builds" } },
};
const sections: Record<string, Record<string, unknown>> = raw;
const kinds = kindsIn((section) => sections[section] ?? {});

test("the kinds of a file are those that its entries name, in every section", () => {
  expect(["jira", "github", "mattermost", "chat", "slack", "webhook"].filter(kinds)).toEqual([
    "jira",
    "github",
    "mattermost",
    "chat",
  ]);
  const entries = { a: null, b: 7, c: {}, d: { kind: "slack" } };
  expect(["slack", "teams"].filter(kindsIn(() => entries))).toEqual(["slack"]);
});

test("the schema of the kinds that a file names reads it as the one of all kinds does", () => {
  expect(configSchema(kinds).parse(raw)).toEqual(configSchema().parse(raw));
  expect(configSchema(kinds).safeParse({ chats: { a: { kind: "slack", url: "slack/a.url" } } }).success).toBe(false);
});

test("what c12 would load from elsewhere is not there to be loaded", async () => {
  const cwd = mkdtempSync(join(tmpdir(), "meshmac-c12-"));
  try {
    writeFileSync(join(cwd, "a.config.json"), "{}");
    const withDefaults = loadConfig({ cwd, configFile: "a.config.json" });
    await expect(withDefaults).rejects.toThrow("a part of c12 was asked for that is switched off");
  } finally {
    rmSync(cwd, { recursive: true });
  }
});
