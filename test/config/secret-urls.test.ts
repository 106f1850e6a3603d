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

const webhookAt = { kind: "webhook", url: "hooks/builds.url", key: "hooks/signing.key" };
const good = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;

test.each([
  ["chats", "whsec_short", false],
  ["chats", "not-a-key-0123456789", false],
  ["pagers", `whsec_${"A".repeat(100)}`, false],
  ["chats", good, true],
  ["pagers", `${good}\n`, true],
] as const)(
  "refuses the signing key of %s that cannot sign, before anything is sent: %j (good: %p)",
  (section, key, ok) => {
    using folder = new Folder();
    const raw = { secrets_dir: "s", [section]: { builds: webhookAt } };
    const { config, vault } = configFrom(raw, { base: folder.path, env: {} });
    writeSecret(config.secrets_dir, "hooks/builds.url", "https://hooks.acme.example/builds");
    writeSecret(config.secrets_dir, "hooks/signing.key", key);
    const check = () => checkFiles(config, vault);
    if (ok) return check();
    expect(check).toThrow(`${section}.builds.key: the signing key is not whsec_ and the base64 of 24 to 64 bytes`);
    expect(check).toThrow(expect.objectContaining({ status: 78, message: expect.not.stringContaining(key) }));
  },
);
