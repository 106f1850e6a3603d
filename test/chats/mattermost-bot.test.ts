import { describe, expect, test } from "bun:test";
import { mattermost } from "../../src/chats/mattermost.ts";
import { mentionsIn, openMattermost } from "../fakes/mattermost.ts";
import { type BotOptions, channel, openMattermostBot, refusal, token } from "../fakes/mattermost-bot.ts";
import { Stage } from "../gateway/stage.ts";
import { type Scene, stageOf, tellRun, tellsOneTimeline } from "./timeline.ts";

function open(script: BotOptions["script"] = [], more: BotOptions = {}): Scene {
  const server = openMattermostBot({ script, ...more });
  const { url, requests, faults, forget, close } = server;
  const entry = { kind: "mattermost", base_url: url, channel_id: channel };
  const ids = () => server.messages().map(({ id }) => id);
  const messages = () =>
    server.messages().map(({ message, props, edits, root }) => ({
      text: `${message}\n${JSON.stringify(props)}`,
      edits,
      active: mentionsIn({ text: message, attachments: props.attachments ?? [] }),
      answers: root === null ? null : ids().indexOf(root),
    }));
  return { entry, token, messages, forget, requests, faults, close };
}

tellsOneTimeline("mattermost as a bot", open, { thread: true });

test("posts anew when a post is too old to be edited", async () => {
  const scene = open([], { tooLate: true });
  await using stage = await stageOf(scene);
  stage.announcing().sending();
  for await (const _ of tellRun(stage));
  expect(scene.messages()).toMatchObject([{ edits: 0 }, { edits: 0 }, { edits: 0 }]);
  expect(scene.faults).toEqual([]);
  scene.close();
});

test("waits while the server is still at the same post", async () => {
  const scene = open([refusal(500, "api.post.deduplicate_create_post.pending")]);
  await using stage = await stageOf(scene);
  stage.announcing().sending();
  await stage.report("1");
  expect((await stage.settled(2)).map(({ verdict }) => verdict)).toEqual(["later", "sent"]);
  scene.close();
});

test("a bot is silent about the states that its entry names", async () => {
  const server = openMattermostBot();
  const scene = { ...open(), entry: { kind: "mattermost", base_url: server.url, channel_id: channel } };
  await using stage = await stageOf(scene, { policy: "post", silent: ["running"] });
  stage.announcing().sending();
  for await (const _ of tellRun(stage));
  expect(server.messages().map(({ silent }) => silent)).toEqual([false, true, false]);
  server.close();
  scene.close();
});

test.each([
  [undefined, [true, true, false]],
  [[], [false, false, false]],
  [["failed"], [false, false, true]],
])("a hook is silent about queued and running, or about what its entry names (%p)", async (silent, expected) => {
  using chat = openMattermost();
  const entry = { kind: "mattermost", url: "builds/hook.url", states: ["queued", "running", "failed"] };
  await using stage = await Stage.open({
    chats: { builds: { ...entry, ...(silent && { silent }) } },
    texts: { "builds/hook.url": chat.url },
  });
  stage.announcing().sending();
  for await (const _ of tellRun(stage));
  expect(chat.posts.map((post) => post.silent === true)).toEqual(expected);
  expect(chat.faults).toEqual([]);
});

test.each([
  [400, "api.post.update_post.permissions_time_limit.app_error", "lost"],
  [403, "api.context.permissions.app_error", "lost"],
  [404, "app.post.get.app_error", "lost"],
  [400, "model.post.is_valid.message_length.app_error", "degrade"],
  [401, "api.context.session_expired.app_error", "dead"],
  [500, "app.post.update.app_error", "retry"],
])("judges %i %s of a change as %s", (status, id, verdict) => {
  const reply = { status, headers: new Headers(), text: JSON.stringify({ id, message: "no" }) };
  expect(mattermost.judge(reply, { key: "k", subject: "s", edit: "p".repeat(26) }).verdict).toBe(verdict as "lost");
});

const parsed = (entry: object) => mattermost.options.parse({ kind: "mattermost", ...entry });
const refusalOf = (entry: object) => mattermost.refuse?.(parsed(entry));
const canOf = (entry: object) => mattermost.can(parsed(entry));

describe("an entry is a hook or a bot", () => {
  const bot = { base_url: "https://chat.acme.example", token: "mattermost/bot.token", channel_id: channel };
  const hook = { url: "mattermost/builds.url" };

  test.each([hook, bot, { ...hook, channel: "builds" }])("takes %p", (entry) => expect(refusalOf(entry)).toBeNull());

  test.each([
    [{}, "either"],
    [{ base_url: bot.base_url, token: bot.token }, "either"],
    [{ ...hook, token: bot.token }, "not both"],
    [{ ...hook, ...bot }, "not both"],
    [{ ...bot, channel: "builds" }, "channel_id"],
  ])("refuses %p", (entry, why) => expect(refusalOf(entry)).toContain(why));

  test("only a bot edits and answers", () => {
    expect(canOf(hook)).toMatchObject({ edit: false, thread: false });
    expect(canOf(bot)).toMatchObject({ edit: true, thread: true });
  });
});
