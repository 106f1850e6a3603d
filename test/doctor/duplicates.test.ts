import { afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { placesOf } from "../../src/config.ts";
import type { Json, JsonObject } from "../../src/core/json.ts";
import { masksOf } from "../../src/gateway/masked-store.ts";
import { openSocket } from "../../src/gateway/socket.ts";
import { createToken, writeSecret } from "../../src/secrets.ts";
import { openRedis } from "../../src/stores/redis.ts";
import { chat, openTelegram, token } from "../fakes/telegram.ts";
import { wellMachine } from "./machine.ts";
import { onRedis } from "./redis.ts";
import { Ward } from "./ward.ts";

const wards: Ward[] = [];
afterEach(async () => {
  for (const ward of wards.splice(0).toReversed()) await ward.close();
});

async function admitted(): Promise<Ward> {
  const ward = await Ward.open();
  wards.push(ward);
  return ward;
}

const hook = "https://chat.acme.example/hooks/abcdefghijklmnopqrstuvwxyz";

/** What a gateway with this ward's configuration says of itself. */
function factsOf(ward: Ward, more: Record<string, Json> = {}): Record<string, Json> {
  const { config, vault } = ward.scene();
  return { version: "0.1.0", sends: true, pool: config.pool, posts_to: placesOf(config, vault.keyId), ...more };
}

test.each<[string, JsonObject, string[]]>([
  ["in the same chat", {}, ["duplicate-sender"]],
  ["in another chat", { chat_id: -1009999999999 }, []],
  ["in another thread of it", { thread_id: 4 }, []],
  ["of other states", { states: ["queued"] }, []],
  ["of other lanes", { lanes: ["mac"] }, []],
])("a bot that speaks twice, %s", async (_, more, ids) => {
  const ward = await admitted();
  const telegram = openTelegram();
  ward.closing.push(() => telegram.close());
  writeSecret(ward.secretsDir, "telegram/bot.token", token);
  const entry = { kind: "telegram", token: "telegram/bot.token", chat_id: chat, base_url: telegram.url };
  ward.change("lanes", { ios: {}, mac: {} });
  ward.change("chats", {
    phones: { ...entry, states: ["failed"], lanes: ["ios"] },
    again: { ...entry, states: ["failed", "dead"], ...more },
  });
  expect(await ward.ids()).toEqual(ids);
});

describe("a file that holds our hook", () => {
  test.each<[string, string, string, string[]]>([
    ["a unit of systemd", "systemd/system/tell.service", `ExecStart=/usr/bin/curl ${hook}`, ["duplicate-sender"]],
    ["a line of cron", "crontab", `0 * * * * root curl ${hook}`, ["duplicate-sender"]],
    ["OpenClaw's configuration", ".openclaw/openclaw.json", `{"hook": "${hook}"}`, ["duplicate-sender"]],
    [
      "a script with the host in a variable",
      "scripts/a.sh",
      `curl $CHAT/${hook.split("/").at(-1)}`,
      ["duplicate-sender"],
    ],
    ["a script with another hook", "scripts/a.sh", `curl ${hook.replace("abc", "xyz")}`, []],
    ["a file of nobody", "elsewhere/a.sh", `curl ${hook}`, []],
  ])("%s", async (_, path, text, ids) => {
    const ward = await admitted();
    const file = join(ward.dir, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `\n${text}\n`);
    expect(await ward.ids()).toEqual(ids);
  });
});

test("OpenClaw may hold the token by which it knows us", async () => {
  const ward = await admitted();
  const token = createToken();
  writeSecret(ward.secretsDir, "openclaw/hooks.token", token);
  await ward.proves("openclaw/hooks.token", "gate-2/4712");
  const entry = { kind: "openclaw", token: "openclaw/hooks.token", channel: "mattermost", target: "builds" };
  ward.change("chats", { assistant: entry });
  mkdirSync(join(ward.dir, ".openclaw"));
  writeFileSync(join(ward.dir, ".openclaw/openclaw.json"), JSON.stringify({ hooks: { token } }));
  expect(await ward.ids()).toEqual([]);
});

describe("another gateway on this machine, with a store of its own", () => {
  test.each<[string, Record<string, Json>, string[]]>([
    ["of a pool of this name", {}, ["duplicate-sender"]],
    ["of another pool, which is another matter", { pool: "acme-mac" }, ["hook-shared"]],
    ["that is a standby", { sends: false }, []],
    ["that posts elsewhere", { posts_to: { builds: "0123456789abcdef" } }, []],
    ["that has ended", { stopped: true }, []],
    ["that is older and does not say", { posts_to: null }, []],
  ])("%s", async (_, facts, ids) => {
    const ward = await admitted();
    const other = await admitted();
    await other.store.beat("gate-2/4712", factsOf(ward, facts));
    const { vault } = other.scene();
    const socket = await openSocket({ config: { state_dir: other.dir }, store: other.store, masks: masksOf(vault) });
    other.closing.push(() => socket.stop());
    const sockets = async () => [socket.path, join(ward.dir, "gone/meshmac.sock")];
    ward.over = { machine: wellMachine(ward.dir, {}, { sockets }) };
    expect(await ward.ids()).toEqual(ids);
  });
});

test.each<[string, Record<string, Json>, string[]]>([
  ["posts to the same hook", {}, ["hook-shared"]],
  ["posts to another one", { posts_to: { builds: "0123456789abcdef" } }, []],
])("another pool in the same Redis %s", async (_, facts, ids) => {
  const ward = await admitted();
  const redis = await onRedis(ward);
  const neighbour = await openRedis({ url: redis.url, pool: "acme-mac" });
  ward.closing.push(() => neighbour.close());
  await neighbour.beat("gate-2/4712", factsOf(ward, facts));
  expect(await ward.ids()).toEqual(ids);
});

test("what gateways say of where they post shows neither hook nor token", async () => {
  const ward = await admitted();
  expect(JSON.stringify(factsOf(ward))).not.toContain("hooks");
  const before = factsOf(ward).posts_to;
  writeSecret(ward.secretsDir, "mattermost/builds.url", `${hook.slice(0, -6)}${createToken().slice(0, 6)}`);
  expect(factsOf(ward).posts_to).not.toEqual(before);
});
