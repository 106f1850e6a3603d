import { afterEach, expect, test } from "bun:test";
import { chmodSync, statSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { createToken, writeSecret } from "../../src/secrets.ts";
import { Ward } from "./ward.ts";

const wards: Ward[] = [];
afterEach(async () => void (await Promise.all(wards.splice(0).map((ward) => ward.close()))));

async function admitted(): Promise<Ward> {
  const ward = await Ward.open();
  wards.push(ward);
  return ward;
}

const token = createToken();

test.each([
  ["a space before", ` ${token}`, ["token-padded"]],
  ["a tab behind", `${token}\t`, ["token-padded"]],
  ["a carriage return in the middle of two line ends", `${token}\r\n`, ["token-padded"]],
  ["an empty line", `${token}\n`, ["token-padded"]],
  ["a byte order mark", `\uFEFF${token}`, ["token-padded"]],
  ["secret", "secret", ["token-literal-secret"]],
  ["a padded placeholder", " changeme ", ["token-literal-secret"]],
  ["its own name", "jira/inbound.token", ["token-literal-secret"]],
  ["what a guide writes", "<paste your token here>", ["token-literal-secret"]],
  ["a variable that nobody filled in", "${JIRA_TOKEN}", ["token-literal-secret"]],
  ["a short one", "abcdef", ["secret-missing"]],
  ["a good one", token, []],
])("an inbound token with %s", async (_, text, ids) => {
  const ward = await admitted();
  writeSecret(ward.secretsDir, "jira/inbound.token", text);
  expect(await ward.ids()).toEqual(ids);
});

test("what goes out by HTTP is sent without what stands around it", async () => {
  const ward = await admitted();
  writeSecret(ward.secretsDir, "jira/rest.token", `${token} \r`);
  expect(await ward.ids()).toEqual([]);
});

test("a REST token that is a placeholder", async () => {
  const ward = await admitted();
  writeSecret(ward.secretsDir, "jira/rest.token", "your-token-here");
  expect(await ward.ids()).toEqual(["token-literal-secret"]);
});

const us = userInfo().username;

test.each([
  ["readable by nobody else", 0o600, "staff:x:GID:", []],
  ["of a group of our own", 0o640, `meshmac:x:GID:${us}`, []],
  ["of a group that nobody is in", 0o440, "meshmac:x:GID:", []],
  ["of everybody's group", 0o440, "staff:x:GID:", ["secret-group-wide"]],
  ["of a group with two more", 0o640, "meshmac:x:GID:ann,bob", ["secret-group-wide"]],
  ["of a group that no list has", 0o640, "other:x:1:ann,bob", []],
])("a secret %s", async (_, mode, group, ids) => {
  const ward = await admitted();
  const file = join(ward.secretsDir, "jira/rest.token");
  chmodSync(file, mode);
  writeFileSync(join(ward.dir, "group"), `${group.replace("GID", String(statSync(file).gid))}\n`);
  expect(await ward.ids()).toEqual(ids);
});

test.each([
  ["two channels of one hook", { channel: "releases" }, undefined, []],
  ["two entries, one channel", {}, undefined, ["hook-shared"]],
  [
    "two files, one value",
    { url: "mattermost/again.url" },
    "https://chat.acme.example/hooks/abcdefghijklmnopqrstuvwxyz",
    ["hook-shared"],
  ],
  [
    "two files, two values",
    { url: "mattermost/again.url" },
    "https://chat.acme.example/hooks/zyxwvutsrqponmlkjihgfedcba",
    [],
  ],
] as const)("hooks: %s", async (_, more, text, ids) => {
  const ward = await admitted();
  if (text) writeSecret(ward.secretsDir, "mattermost/again.url", text);
  if (text) await ward.proves("mattermost/again.url", "gate-2/4712");
  ward.change("chats.again", { kind: "mattermost", url: "mattermost/builds.url", ...more });
  expect(await ward.ids()).toEqual([...ids]);
});
