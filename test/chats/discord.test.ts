import { describe, expect, test } from "bun:test";
import type { Given } from "../../src/chats/chat.ts";
import { discord } from "../../src/chats/discord.ts";
import type { JsonObject } from "../../src/core/json.ts";
import { type Discord, type DiscordOptions, markupIn, openDiscord } from "../fakes/discord.ts";
import type { Stage } from "../gateway/stage.ts";
import { askOf, heldOf, leased, queue, resultOf } from "../stores/conformance/given.ts";
import { sceneWith } from "./scene.ts";
import { keepsWhatEveryChatKeeps, type Sending } from "./sending.ts";

const refused = (status: number, code: number) => ({ status, body: JSON.stringify({ message: "refused", code }) });

const kind: Sending<Discord> = {
  open: (script = []) => openDiscord({ script }),
  entry: ({ url }) => ({ entry: { kind: "discord", url: "discord/hook.url" }, texts: { "discord/hook.url": url } }),
  refused: refused(400, 50035),
  isPlain: ({ embeds }) => !Array.isArray(embeds) || embeds.length === 0,
  dead: [
    ["there is no such webhook", refused(404, 10015)],
    ["the token is wrong", refused(401, 50027)],
    ["it lacks a permission", refused(403, 50013)],
    ["the channel is a forum", refused(400, 220_001)],
    ["a login page answers 200", { status: 200, body: "<!DOCTYPE html><title>Sign in</title>" }],
    ["it says it stored nothing", 204],
    ["it says 410", 410],
  ],
  mentionsIn: markupIn,
};

describe("discord", () => keepsWhatEveryChatKeeps(kind));

const sceneOf = (options: DiscordOptions = {}, more: JsonObject = {}) => sceneWith(openDiscord(options), kind, more);
const asked = ({ requests }: Discord): string[] => requests.map(({ method }) => method);
const start = (stage: Stage) => queue(stage.store, { source: "jira", issue_key: "MOB-12" });
const run = (stage: Stage) => leased(stage.store, askOf());

describe("a message", () => {
  test("changes with the run: created once, edited twice", async () => {
    await using scene = await sceneOf();
    const { chat, stage } = scene;
    await stage.run("failed");
    await stage.settled(3);
    expect(asked(chat)).toEqual(["POST", "PATCH", "PATCH"]);
    expect(chat.messages).toMatchObject([{ edits: 2, content: "❌ `MOB-12` **failed**" }]);
    expect(chat.faults).toEqual([]);
  });

  test("is edited by a gateway that did not post it", async () => {
    await using scene = await sceneOf();
    const { chat, stage } = scene;
    await start(stage);
    await stage.settled(1);
    await scene.sender.stop();
    stage.sending();
    await run(stage);
    await stage.settled(2);
    expect(chat.messages).toMatchObject([{ edits: 1 }]);
  });

  test("is posted anew when it was deleted, and the new one edited from then on", async () => {
    await using scene = await sceneOf();
    const { chat, stage } = scene;
    await start(stage);
    await stage.settled(1);
    chat.forget();
    const lease = await run(stage);
    await stage.settled(2);
    await stage.store.finish(resultOf(heldOf(lease)));
    await stage.settled(3);
    expect(asked(chat)).toEqual(["POST", "PATCH", "POST", "PATCH"]);
    expect(chat.messages).toMatchObject([{ edits: 1, content: "✅ `MOB-12` **succeeded**" }]);
    expect(chat.faults).toEqual([]);
  });

  test("is posted anew when it is old and was edited too often", async () => {
    await using scene = await sceneOf({ lateEdits: 0 });
    const { chat, stage } = scene;
    await start(stage);
    await stage.settled(1);
    stage.skip(3_600_001);
    await run(stage);
    await stage.settled(2);
    expect(chat.messages.map(({ content }) => content)).toEqual(["🕒 `MOB-12` **queued**", "🔨 `MOB-12` **running**"]);
    expect(chat.faults).toEqual([]);
  });

  test("drops its embed when the layout of an edit was refused, and gets it back with the next state", async () => {
    await using scene = await sceneOf({ errors: [null, [400, 50035]] });
    const { chat, stage } = scene;
    await start(stage);
    const lease = await run(stage);
    await stage.settled(2);
    expect(chat.messages).toMatchObject([{ edits: 1, embeds: [], content: expect.stringContaining("`mac-07`") }]);
    await stage.store.finish(resultOf(heldOf(lease)));
    await stage.settled(3);
    expect(chat.messages).toMatchObject([{ edits: 2, content: "✅ `MOB-12` **succeeded**" }]);
    expect(chat.messages[0]?.embeds).toHaveLength(1);
  });

  test("whose webhook was deleted is not posted anew", async () => {
    await using scene = await sceneOf({ errors: [null, [404, 10015]] });
    const { chat, stage } = scene;
    await start(stage);
    await run(stage);
    expect(await stage.settled(2)).toMatchObject([{ verdict: "sent" }, { verdict: "dead" }]);
    await stage.later(3_600_000);
    expect(asked(chat)).toEqual(["POST", "PATCH"]);
  });
});

test.each(["# heading", "- list", "1. list", "> quotation", "-# small", "```", "**", "_a_ ||b||", "<t:0> <:e:1>"])(
  "a title like %j is shown as it is",
  async (summary) => {
    await using scene = await sceneOf();
    const { chat, stage } = scene;
    await queue(stage.store, { source: "jira", summary });
    await stage.settled(1);
    expect([chat.posts.flatMap(markupIn), chat.faults]).toEqual([[], []]);
  },
);

test.each(["header", "body"] as const)("keeps the pace that a 429 asks for in its %s", async (form) => {
  await using scene = await sceneOf();
  const { chat, stage } = scene;
  chat.hush(30, form);
  await stage.report("1");
  await stage.settled(1);
  await stage.report("2");
  await stage.later(29_000);
  expect(chat.requests).toHaveLength(1);
  await stage.later(1_100);
  await stage.settled(3);
  expect([chat.messages.length, chat.requests.length, chat.faults]).toEqual([2, 3, []]);
});

test("finds out how many messages a webhook takes", async () => {
  await using scene = await sceneWith(openDiscord(), kind, {}, 1);
  const { chat, stage } = scene;
  for (let id = 0; id < 12; id++) await stage.report(String(id));
  for (let seconds = 0; chat.messages.length < 12 && seconds < 60; seconds++) await stage.later(1000);
  expect([chat.messages.length, chat.faults]).toEqual([12, []]);
});

test.each([
  ["https://discord.com/api/webhooks/1/t?wait=true", null],
  ["https://discord.com/api/webhooks/1/t/messages/2", null],
  ["https://discord.com/api/webhooks/1/t?thread_id=9?wait=true", /has a query/],
  ["https://discord.com/api/webhooks/1/t/slack?wait=true", /leave that off/],
])("of %s it says %p", (url, why) => {
  const said = discord.refuseUrl?.(new URL(url));
  if (why === null) expect(said).toBeNull();
  else expect(said).toMatch(why);
});

const given: Given = { key: "5e".repeat(32), subject: "run" };
const edit = "1203344556677889900";

test.each([
  [200, { id: edit }, given, { verdict: "sent", handle: edit }],
  [200, { id: "1/../x" }, given, { verdict: "dead" }],
  [200, {}, given, { verdict: "dead" }],
  [204, null, given, { verdict: "dead" }],
  [302, null, given, { verdict: "dead" }],
  [400, { code: 50_006 }, given, { verdict: "degrade", why: expect.stringContaining("code 50006") }],
  [400, { code: 50_083 }, given, { verdict: "dead" }],
  [400, null, given, { verdict: "degrade" }],
  [401, { code: 50_027 }, given, { verdict: "dead", why: "status 401, code 50027" }],
  [401, { code: 50_027 }, { ...given, edit }, { verdict: "dead" }],
  [403, { code: 50_005 }, { ...given, edit }, { verdict: "lost" }],
  [404, { code: 10_008 }, given, { verdict: "dead" }],
  [404, { code: 10_008 }, { ...given, edit }, { verdict: "lost" }],
  [404, null, { ...given, edit }, { verdict: "lost" }],
  [404, { code: 10_015 }, { ...given, edit }, { verdict: "dead" }],
  [404, { code: "<@everyone>" }, given, { verdict: "dead", why: "status 404" }],
  [413, { code: 40_005 }, given, { verdict: "degrade" }],
  [429, { retry_after: 0.65, global: false }, given, { verdict: "retry", waitMs: 650 }],
  [429, { retry_after: "soon" }, given, { verdict: "retry", why: "status 429" }],
  [429, { code: 30_046, retry_after: 9 }, { ...given, edit }, { verdict: "lost" }],
  [429, null, given, { verdict: "retry" }],
  [500, null, given, { verdict: "retry" }],
  [501, null, given, { verdict: "dead" }],
  [503, null, { ...given, edit }, { verdict: "retry" }],
] as [number, JsonObject | null, Given, JsonObject][])("judges %i %j", (status, body, at, verdict) => {
  const text = body === null ? "<html>" : JSON.stringify(body);
  expect(discord.judge({ status, text, headers: new Headers() }, at)).toMatchObject(verdict as { verdict: "sent" });
});
