import { expect, test } from "bun:test";
import { checkFiles, configFrom } from "../../src/config.ts";
import { MeshError } from "../../src/core/error.ts";
import { writeSecret } from "../../src/secrets.ts";
import { Folder } from "./folder.ts";

/** The fault that the secret files of one chat make, or null. */
function faultOf(chat: Record<string, unknown>, url: string): MeshError | null {
  using folder = new Folder();
  const raw = { secrets_dir: "s", chats: { builds: { ...chat, url: "chat/builds.url" } } };
  const { config, vault } = configFrom(raw, { base: folder.path, env: {} });
  writeSecret(config.secrets_dir, "chat/builds.url", url);
  try {
    checkFiles(config, vault);
    return null;
  } catch (fault) {
    if (fault instanceof MeshError) return fault;
    throw fault;
  }
}

test.each([
  ["https://acme.webhook.office.com/webhookb2/0f0e@1a1b/IncomingWebhook/2c2d/3e3f", "connectors are retired"],
  ["https://prod-07.westeurope.logic.azure.com/workflows/0f0e/triggers/manual/paths/invoke?sv=1.0", "no sig="],
])("refuses a Teams address that cannot work, and says why: %s", (url, said) => {
  const fault = faultOf({ kind: "teams" }, url);
  expect([fault?.kind, fault?.status]).toEqual(["config", 78]);
  expect(fault?.message).toContain("chats.builds.url: ");
  expect(fault?.message).toContain(said);
  expect(fault?.message).not.toContain("0f0e");
});

test("has nothing against the same address where another kind of chat uses it, nor against a good one", () => {
  expect(faultOf({ kind: "mattermost" }, "https://acme.webhook.office.com/hooks/0f0e")).toBeNull();
  expect(faultOf({ kind: "teams" }, "https://prod-07.westeurope.logic.azure.com/workflows/0f0e?sig=1a1b")).toBeNull();
});
