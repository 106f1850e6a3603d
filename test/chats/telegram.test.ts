import { expect, test } from "bun:test";
import { telegram } from "../../src/chats/telegram.ts";
import { activeIn, chat, notModified, openTelegram, refusal, token } from "../fakes/telegram.ts";
import type { Injection } from "../fakes/remote.ts";
import { announced, issue, type Scene, stageOf, tellRun, tellsOneTimeline } from "./timeline.ts";

function open(script: Injection[] = []): Scene {
  const server = openTelegram({ script });
  const { url, requests, faults, forget, close } = server;
  const entry = { kind: "telegram", base_url: url, chat_id: chat };
  const ids = () => server.messages().map(({ id }) => id);
  const messages = () =>
    server.messages().map(({ body, edits, answers }) => ({
      text: String(body.text),
      edits,
      active: activeIn(body, [issue]),
      answers: answers === null ? null : ids().indexOf(answers),
    }));
  return { entry, token, messages, forget, requests, faults, close };
}

tellsOneTimeline("telegram", open, { thread: true });

test.each([
  [refusal(429, "Too Many Requests: retry after 7", { retry_after: 7 }), 7000],
  [{ ...refusal(429, "Too Many Requests"), headers: { "Retry-After": "7" } }, 7000],
  [refusal(429, "Too Many Requests: retry after 3600", { retry_after: 3600 }), 3_600_000],
  [refusal(429, "Too Many Requests"), 0],
])("waits as long as a limit asks, in the parameters or in the header (%#)", async (answer, asked) => {
  const scene = open([answer]);
  await using stage = await stageOf(scene);
  stage.announcing().sending();
  await stage.report("1");
  await stage.settled(1);
  if (asked > 0) {
    await stage.later(asked - 1000);
    expect(scene.requests).toHaveLength(1);
    await stage.later(1001);
  }
  expect((await stage.settled(2)).map(({ verdict }) => verdict)).toEqual(["later", "sent"]);
  scene.close();
});

test("takes a change that changes nothing for made", async () => {
  const scene = open(["normal", refusal(400, notModified)]);
  await using stage = await stageOf(scene);
  stage.announcing().sending();
  for await (const _ of tellRun(stage));
  expect(stage.settlements.map(({ verdict }) => verdict)).toEqual(["sent", "sent", "sent"]);
  expect(scene.requests).toHaveLength(3);
  scene.close();
});

test("rings for an end, not for a beginning", async () => {
  const scene = open();
  await using stage = await stageOf(scene, { policy: "post" });
  stage.announcing().sending();
  for await (const _ of tellRun(stage));
  expect(scene.requests.map(({ text }) => text.includes('"disable_notification":true'))).toEqual([true, true, false]);
  scene.close();
});

test.each([
  "Bad Request: chat not found",
  "Bad Request: group chat was upgraded to a supergroup chat",
  "Bad Request: not enough rights to send text messages to the chat",
  "Bad Request: message thread not found",
])("does not knock twice where it may not write: %s", async (description) => {
  const scene = open([refusal(400, description)]);
  await using stage = await stageOf(scene);
  stage.announcing().sending();
  await stage.report("1");
  expect(await stage.settled(1)).toMatchObject([{ verdict: "dead" }]);
  expect(scene.requests).toHaveLength(1);
  scene.close();
});

test.each([
  ["Bad Request: message to edit not found", "lost"],
  ["Bad Request: message can't be edited", "lost"],
  ["Bad Request: MESSAGE_ID_INVALID", "lost"],
  [notModified, "sent"],
  ["Bad Request: can't parse entities: unsupported", "degrade"],
  ["Bad Request: message is too long", "degrade"],
])("judges %j of a change as %s", (description, verdict) => {
  const reply = { status: 400, headers: new Headers(), text: JSON.stringify({ ok: false, description }) };
  expect(telegram.judge(reply, { key: "k", subject: "s", edit: "1" }).verdict).toBe(verdict as "lost");
});

test("keeps the longest texts within a message, in the server's own unit", () => {
  const long = "\u{1F600}".repeat(600);
  const a = { ...announced, workflow: long, branch: long, summary: long, issue_key: long, failing_target: long };
  const entry = telegram.options.parse({ kind: "telegram", token: "telegram/bot.token", chat_id: chat });
  const run_url = `https://ci.example/${"a".repeat(1900)}`;
  for (const plain of [false, true]) {
    const { body } = telegram.post({ ...a, run_url }, entry, { key: "5e".repeat(32), subject: "s", plain });
    const { text } = JSON.parse(JSON.stringify(body)) as { text: string };
    expect(text.length).toBeLessThanOrEqual(4096);
    expect(text.isWellFormed()).toBe(true);
  }
});

const parse = (chat_id: unknown) =>
  telegram.options.safeParse({ kind: "telegram", token: "telegram/bot.token", chat_id }).data?.chat_id;

test("takes a chat by its number, also in quotes, or by its name", () => {
  expect([parse(chat), parse(String(chat)), parse("@acme_builds")]).toEqual([chat, chat, "@acme_builds"]);
  expect([parse("builds"), parse("@a b"), parse(1.5)]).toEqual([undefined, undefined, undefined]);
});
