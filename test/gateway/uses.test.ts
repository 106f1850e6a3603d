import { expect, test } from "bun:test";
import { renameSync } from "node:fs";
import { join } from "node:path";
import { configFrom } from "../../src/config.ts";
import type { Use } from "../../src/core/records.ts";
import { startUses } from "../../src/gateway/uses.ts";
import { createToken, writeSecret } from "../../src/secrets.ts";
import { commit } from "../../src/secrets/shelf.ts";
import { Folder } from "../config/folder.ts";
import { eventually, openGatehouse } from "./gatehouse.ts";

const name = "jira/inbound.token";
const [old, fresh] = [createToken(), createToken()];
const keyIdOf = (text: string): string => Bun.SHA256.hash(text, "hex").slice(0, 8);

/** A gateway's bookkeeping over a vault of its own; `told` is what it said last. */
function keeping(folder: Folder, tally?: (uses: Use[]) => void) {
  const { config, vault } = configFrom(
    {
      secrets_dir: ".",
      node: { id: "mac-07" },
      sources: {
        jira: {
          kind: "jira",
          path: "/jira",
          token: name,
          build_when: [{ status: ["Building"] }],
          task: { script: "x" },
        },
      },
    },
    { base: folder.path, env: {} },
  );
  const told: Use[][] = [];
  const store = {
    tally: async (gateway: string, uses: Use[]) => {
      expect(gateway).toBe(`mac-07/${process.pid}`);
      tally?.(uses);
      told.push(uses);
    },
  };
  const { use, stop } = startUses({ store, vault, config });
  return { config, use, vault, told, [Symbol.asyncDispose]: stop };
}

test("what is loaded and used is written down without anybody asking, and the count goes where the value goes", async () => {
  using folder = new Folder();
  writeSecret(folder.path, name, old);
  await using gateway = keeping(folder);
  await eventually("the first word", () => gateway.told.length > 0);
  expect(gateway.told[0]).toMatchObject([
    { secret: name, key_id: keyIdOf(old), role: "current", count: 0, idle_ms: null },
  ]);

  writeSecret(folder.path, `${name}.next`, fresh);
  await eventually("the staged value is loaded", () => gateway.told.at(-1)?.some(({ role }) => role === "next"));
  for (const value of [old, fresh, fresh]) expect(gateway.vault.accepts(name, value)).not.toBeNull();
  await eventually("its uses", () => gateway.told.at(-1)?.some(({ role, count }) => role === "next" && count === 2));

  renameSync(join(folder.path, `${name}.next`), join(folder.path, name));
  await eventually("the swap", () =>
    gateway.told.at(-1)?.some(({ key_id, role }) => key_id === keyIdOf(fresh) && role === "current"),
  );
  expect(gateway.told.at(-1)).toMatchObject([
    { key_id: keyIdOf(old), role: null, loaded_ms: null, count: 1 },
    { key_id: keyIdOf(fresh), role: "current", count: 2 },
  ]);
  for (const uses of gateway.told) expect(JSON.stringify(uses)).not.toContain(fresh);
});

test("what the store did not take is said again, and once more at the end", async () => {
  using folder = new Folder();
  writeSecret(folder.path, name, old);
  let down = true;
  let tries = 0;
  const gateway = keeping(folder, () => {
    tries++;
    if (down) throw new Error("away");
  });
  await eventually("two tries", () => tries > 1);
  expect(gateway.told).toEqual([]);
  down = false;
  await eventually("a word", () => gateway.told.length > 0);
  gateway.vault.accepts(name, old);
  await gateway[Symbol.asyncDispose]();
  expect(gateway.told.at(-1)).toMatchObject([{ count: 1 }]);
});

test("a retired token is explained in the note of its delivery, and to its sender by nothing", async () => {
  await using house = await openGatehouse();
  const shelf = { name, files: [join(house.dir, "secrets.d", name)], top: join(house.dir, "secrets.d") };
  const before = "jira-inbound-0123456789abcdef0123456789";
  writeSecret(join(house.dir, "secrets.d"), `${name}.next`, fresh);
  const both = await Promise.all([before, fresh].map((token) => house.deliver({}, { "x-meshmac-jira-token": token })));
  expect(both.map(({ status }) => status)).toEqual([400, 400]);
  commit(shelf, Date.now());
  const retired = await eventually("the old one is refused", async () => {
    const told = await house.deliver({}, { "x-meshmac-jira-token": before });
    return told.status === 401 && told;
  });
  const guessed = await house.deliver({}, { "x-meshmac-jira-token": createToken() });
  const { correlation_id: _one, ...said } = retired.body;
  const { correlation_id: _other, ...saidToAll } = guessed.body;
  expect(said).toEqual(saidToAll);
  const notes = await eventually("the note", async () => {
    const found = await house.store.deliveries(50, "refused");
    return found.some(({ reason }) => reason?.startsWith("retired")) && found;
  });
  const reasons = notes.map(({ reason }) => reason ?? "");
  expect(
    reasons.filter((reason) => /^retired token of jira\/inbound\.token, key id [0-9a-f]{8}, committed 2/.test(reason)),
  ).toHaveLength(1);
  expect(reasons.join("\n")).not.toContain("wrong token");
  expect(reasons.join("\n")).not.toContain(before);
});

test("a secret that no configuration names any more is not spoken of, and stays hidden; one that comes back is counted on", async () => {
  using folder = new Folder();
  writeSecret(folder.path, name, old);
  await using gateway = keeping(folder);
  const { config, vault, told } = gateway;
  expect(vault.accepts(name, old)).not.toBeNull();
  await eventually("its use", () => told.at(-1)?.some(({ count }) => count === 1));
  gateway.use({ ...config, sources: {} });
  await eventually("silence", () => told.at(-1)?.length === 0);
  expect(vault.values()).toEqual([old]);
  gateway.use(config);
  await eventually("it to be back", () => told.at(-1)?.some(({ secret, count }) => secret === name && count === 1));
});
