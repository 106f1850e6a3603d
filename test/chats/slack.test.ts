import { describe, expect, test } from "bun:test";
import type { Given } from "../../src/chats/chat.ts";
import { slack } from "../../src/chats/slack.ts";
import type { JsonObject } from "../../src/core/json.ts";
import { markupIn } from "../fakes/slack-blocks.ts";
import { openSlack, type Slack, type SlackOptions } from "../fakes/slack.ts";
import type { Stage } from "../gateway/stage.ts";
import { askOf, heldOf, leased, queue, resultOf } from "../stores/conformance/given.ts";
import { sceneWith } from "./scene.ts";
import { keepsWhatEveryChatKeeps, type Sending } from "./sending.ts";

const refused = (error: string) => ({ status: 200, body: JSON.stringify({ ok: false, error }) });
const isPlain = (post: JsonObject): boolean => !Array.isArray(post.blocks) || post.blocks.length === 0;

const aBot: Sending<Slack> = {
  open: (script = []) => openSlack({ script }),
  entry: ({ base_url, token }) => ({
    entry: { kind: "slack", token: "slack/bot.token", channel: "#builds", base_url },
    texts: { "slack/bot.token": token },
  }),
  refused: refused("invalid_blocks"),
  isPlain,
  dead: [
    ["the token is revoked", refused("token_revoked")],
    ["the token is another's", refused("invalid_auth")],
    ["the bot may not", refused("missing_scope")],
    ["the bot is not in the channel", refused("not_in_channel")],
    ["the channel is archived", refused("is_archived")],
    ["only some may write", refused("restricted_action_read_only_channel")],
    ["a word of next year is said", refused("a_word_of_next_year")],
    ["a login page answers 200", { status: 200, body: "<!DOCTYPE html><title>Sign in</title>" }],
    ["it says 403", 403],
  ],
  mentionsIn: markupIn,
};

const aWebhook: Sending<Slack> = {
  open: aBot.open,
  entry: ({ url }) => ({ entry: { kind: "slack", url: "slack/hook.url" }, texts: { "slack/hook.url": url } }),
  refused: { status: 400, body: "invalid_blocks" },
  isPlain,
  dead: [
    ["the hook is revoked", { status: 400, body: "invalid_token" }],
    ["there is no such hook", { status: 404, body: "no_service" }],
    ["the channel is gone", { status: 404, body: "channel_not_found" }],
    ["the channel is archived", { status: 410, body: "channel_is_archived" }],
    ["an administrator forbids it", { status: 403, body: "action_prohibited" }],
    ["a login page answers 200", { status: 200, body: "<!DOCTYPE html><title>Sign in</title>" }],
  ],
  mentionsIn: markupIn,
};

describe("a slack bot", () => keepsWhatEveryChatKeeps(aBot));
describe("a slack webhook", () => keepsWhatEveryChatKeeps(aWebhook));

const bot = (options: SlackOptions = {}, more: JsonObject = {}) => sceneWith(openSlack(options), aBot, more);
const webhook = (options: SlackOptions = {}, more: JsonObject = {}) => sceneWith(openSlack(options), aWebhook, more);

const methods = ({ requests }: Slack): string[] => requests.map(({ path }) => path.replace("/api/chat.", ""));
const texts = ({ messages }: Slack): string[] => messages.map(({ body }) => String(body.text));
const start = (stage: Stage) => queue(stage.store, { source: "jira", issue_key: "MOB-12" });
const run = (stage: Stage) => leased(stage.store, askOf());

describe("a bot's message", () => {
  test("changes with the run: created once, edited twice", async () => {
    await using scene = await bot();
    const { chat, stage } = scene;
    await stage.run("failed");
    await stage.settled(3);
    expect(methods(chat)).toEqual(["postMessage", "update", "update"]);
    expect(chat.messages).toMatchObject([{ edits: 2, body: { text: expect.stringContaining("MOB-12 failed") } }]);
    expect(chat.faults).toEqual([]);
  });

  test("is edited by a gateway that did not post it", async () => {
    await using scene = await bot();
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
    await using scene = await bot();
    const { chat, stage } = scene;
    await start(stage);
    await stage.settled(1);
    chat.forget();
    const lease = await run(stage);
    await stage.settled(2);
    await stage.store.finish(resultOf(heldOf(lease)));
    await stage.settled(3);
    expect(methods(chat)).toEqual(["postMessage", "update", "postMessage", "update"]);
    expect(chat.messages).toMatchObject([{ edits: 1, body: { text: expect.stringContaining("succeeded") } }]);
    expect(stage.settlements.map(({ verdict }) => verdict)).toEqual(["sent", "sent", "sent"]);
  });

  test("is posted anew when it may be edited no more", async () => {
    await using scene = await bot({ editable_ms: 60_000 });
    const { chat, stage } = scene;
    await start(stage);
    await stage.settled(1);
    stage.skip(61_000);
    await run(stage);
    await stage.settled(2);
    expect(texts(chat)).toEqual([expect.stringContaining("queued"), expect.stringContaining("running")]);
  });

  test("drops its blocks when the layout of an edit was refused", async () => {
    await using scene = await bot({ errors: [null, "msg_blocks_too_long"] });
    const { chat, stage } = scene;
    await start(stage);
    await run(stage);
    await stage.settled(2);
    expect(methods(chat)).toEqual(["postMessage", "update", "update"]);
    expect(chat.messages).toMatchObject([
      { edits: 1, body: { blocks: [], text: expect.stringContaining("MOB-12 running") } },
    ]);
  });

  test.each([
    [true, true],
    [false, undefined],
  ])("answers in the thread of the first one where it is told to, a failure aloud (%p)", async (broadcast, aloud) => {
    await using scene = await bot({}, { policy: "thread", broadcast });
    const { chat, stage } = scene;
    await stage.run("failed");
    await stage.settled(3);
    const root = chat.messages[0]?.ts;
    expect(chat.messages.map(({ body }) => [body.thread_ts, body.reply_broadcast])).toEqual([
      [undefined, undefined],
      [root, undefined],
      [root, aloud],
    ]);
    expect(chat.faults).toEqual([]);
  });

  test("that changes is answered aloud when the build failed, where it is told to", async () => {
    await using scene = await bot({}, { broadcast: true });
    const { chat, stage } = scene;
    await stage.run("failed");
    await stage.settled(4);
    const [root, ...answers] = chat.messages;
    expect(root).toMatchObject({ edits: 2 });
    expect(answers.map(({ body }) => [body.thread_ts, body.reply_broadcast])).toEqual([[root?.ts, true]]);
    expect(chat.faults).toEqual([]);
  });

  test("begins a new thread when the first message was deleted", async () => {
    await using scene = await bot({}, { policy: "thread" });
    const { chat, stage } = scene;
    await start(stage);
    await stage.settled(1);
    chat.forget();
    const lease = await run(stage);
    await stage.settled(2);
    await stage.store.finish(resultOf(heldOf(lease)));
    await stage.settled(3);
    expect(chat.messages.map(({ body }) => body.thread_ts)).toEqual([undefined, chat.messages[0]?.ts]);
  });
});

describe("a bot's error", () => {
  test.each([
    ["internal_error", true],
    ["fatal_error", true],
    ["request_timeout", true],
    ["service_unavailable", false],
    ["ratelimited", false],
    ["team_added_to_org", false],
  ])("%s is tried again (perhaps posted: %p)", async (error, unsure) => {
    await using scene = await bot({ errors: [error] });
    const { chat, stage } = scene;
    await stage.report("1");
    expect(await stage.settled(2)).toMatchObject([{ verdict: "later", unsure }, { verdict: "sent" }]);
    expect(chat.messages).toHaveLength(1);
  });
});

describe("the pace", () => {
  test.each([
    [bot, "header"],
    [bot, "body"],
    [webhook, "header"],
    [webhook, "body"],
  ] as const)("is what Slack's 429 asks for (%p, in the %s)", async (open, form) => {
    await using scene = await open();
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

  test("is found out where a channel takes one message a second", async () => {
    await using scene = await sceneWith(openSlack({ burst: 1 }), aBot, {}, 1);
    const { chat, stage } = scene;
    for (const id of ["1", "2", "3"]) await stage.report(id);
    for (let seconds = 0; chat.messages.length < 3 && seconds < 60; seconds++) await stage.later(1000);
    expect([chat.messages.length, chat.faults]).toEqual([3, []]);
  });
});

const parse = (entry: JsonObject) => slack.options.parse({ kind: "slack", ...entry });

describe("the configuration", () => {
  const url = "slack/hook.url";
  const token = "slack/bot.token";

  test.each([
    [{}, /needs the url/],
    [{ url, token }, /leave one/],
    [{ url, channel: "#builds" }, /leave channel out/],
    [{ token }, /needs the channel/],
    [{ channel: "#builds" }, /needs the url/],
  ])("%j is refused", (entry, why) => expect(slack.refuse?.(parse(entry))).toMatch(why));

  test.each([
    [{ url }, false],
    [{ token, channel: "C0ACME2BLD" }, true],
  ])("%j is taken, and can edit and answer: %p", (entry, able) => {
    expect(slack.refuse?.(parse(entry))).toBeNull();
    expect(slack.can(parse(entry))).toMatchObject({ edit: able, thread: able });
    expect(parse(entry).base_url).toBe("https://slack.com");
  });
});

const given: Given = { key: "5e".repeat(32), subject: "run" };
const edit = "C0ACME2BLD:1795000000.000100";

test.each([
  [200, "ok", given, { verdict: "sent" }],
  [200, '{"ok":true,"channel":"C0ACME2BLD","ts":"1795000000.000100"}', given, { verdict: "sent", handle: edit }],
  [200, '{"ok":true}', given, { verdict: "dead" }],
  [200, '{"ok":true,"channel":"../x","ts":"1"}', given, { verdict: "dead" }],
  [200, '{"ok":"true"}', given, { verdict: "dead" }],
  [200, "", given, { verdict: "dead" }],
  [204, "", given, { verdict: "dead" }],
  [302, "", given, { verdict: "dead" }],
  [200, '{"ok":false,"error":"message_not_found"}', given, { verdict: "dead" }],
  [200, '{"ok":false,"error":"message_not_found"}', { ...given, edit }, { verdict: "lost" }],
  [200, '{"ok":false,"error":"cant_update_message"}', { ...given, edit }, { verdict: "lost" }],
  [200, '{"ok":false,"error":"is_inactive"}', { ...given, edit }, { verdict: "lost" }],
  [200, '{"ok":false,"error":"token_revoked"}', { ...given, edit }, { verdict: "dead" }],
  [200, '{"ok":false,"error":"SECRET <!here>"}', given, { verdict: "dead", why: "status 200" }],
  [200, '{"ok":false}', given, { verdict: "dead", why: "status 200" }],
  [400, "invalid_payload", given, { verdict: "degrade" }],
  [400, "invalid_token", given, { verdict: "dead", why: "status 400, invalid_token" }],
  [403, "Secret Thing", given, { verdict: "dead", why: "status 403" }],
  [404, "no_service", given, { verdict: "dead", why: "status 404, no_service" }],
  [413, "", given, { verdict: "degrade" }],
  [429, '{"retry_after":1.5,"ok":false,"error":"rate_limited"}', given, { verdict: "retry", waitMs: 1500 }],
  [429, "", given, { verdict: "retry" }],
  [500, "rollup_error", given, { verdict: "retry", why: "status 500, rollup_error" }],
  [501, "", given, { verdict: "dead" }],
] as [number, string, Given, JsonObject][])("judges %i %j", (status, text, at, verdict) => {
  expect(slack.judge({ status, text, headers: new Headers() }, at)).toMatchObject(verdict as { verdict: "sent" });
});
