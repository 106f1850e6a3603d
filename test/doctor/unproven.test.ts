import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { tryChat } from "../../src/gateway/notify-trial.ts";
import { openVault, writeSecret } from "../../src/secrets.ts";
import { commit, prove, type Shelf, stage } from "../../src/secrets/shelf.ts";
import { remote } from "../fakes/remote.ts";
import { Ward } from "./ward.ts";

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

async function admitted(): Promise<Ward> {
  const ward = await Ward.open();
  open.push(() => ward.close());
  return ward;
}

const name = "mattermost/builds.url";
const another = "https://chat.acme.example/hooks/zyxwvutsrqponmlkjihgfedcba";
const shelfIn = ({ secretsDir }: Ward): Shelf => ({ name, files: [join(secretsDir, name)], top: secretsDir });

test("a use that was answered is no proof: only one that was taken is", async () => {
  const ward = await admitted();
  writeSecret(ward.secretsDir, name, another);
  const key_id = openVault(ward.secretsDir).keyId(name);
  const use = { secret: name, key_id, role: "current" as const, loaded_ms: 0, count: 3, refused: 0, idle_ms: 0 };
  await ward.store.tally("gate-1/4711", [use]);
  expect(await ward.ids()).toEqual(["chat-hook-unproven"]);
  await ward.store.tally("gate-1/4711", [{ ...use, taken: 1 }]);
  expect(await ward.ids()).toEqual([]);
});

test("the trial of a rotation proves the value that it was made with", async () => {
  const ward = await admitted();
  const shelf = shelfIn(ward);
  const { key_id } = stage(shelf, [another], { at: Date.now(), reason: "planned" });
  commit(shelf, Date.now());
  expect(await ward.ids()).toEqual(["chat-hook-unproven"]);
  prove(shelf, key_id, Date.now());
  expect(await ward.ids()).toEqual([]);
});

test("what is known to be refused is said once", async () => {
  const ward = await admitted();
  writeSecret(ward.secretsDir, name, another);
  ward.change("chats.builds", { url: "mattermost/gone.url" });
  expect(await ward.ids()).toEqual(["secret-missing"]);
});

test.each([
  ["is taken", { status: 200, body: "ok" }, 1],
  ["is answered like a page", { status: 200, body: "<html>" }, undefined],
  ["is refused", { status: 404, body: "" }, undefined],
])("a test post that %s", async (_, answer, taken) => {
  const ward = await admitted();
  using chat = remote(answer);
  writeSecret(ward.secretsDir, name, `${chat.url}/hooks/abcdefghijklmnopqrstuvwxyz`);
  const { config, vault } = ward.scene();
  await tryChat({ config, vault, chat: "builds", plain: false, print: () => {} });
  expect(vault.uses().find(({ secret }) => secret === name)?.taken).toBe(taken);
});
