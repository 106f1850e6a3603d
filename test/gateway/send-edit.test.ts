import { expect, test } from "bun:test";
import type { JsonObject } from "../../src/core/json.ts";
import { sendPost } from "../../src/http.ts";
import { channel, openMattermostBot, token } from "../fakes/mattermost-bot.ts";
import { gate } from "../fakes/remote.ts";
import { until } from "../stores/conformance/given.ts";
import { Stage } from "./stage.ts";

const open = (base_url: string, more: JsonObject = {}) =>
  Stage.open({
    chats: { builds: { kind: "mattermost", base_url, token: "builds/bot.token", channel_id: channel, ...more } },
    texts: { "builds/bot.token": token },
  });

const shown = ({ message, props }: { message: string; props: JsonObject }): string => message + JSON.stringify(props);

test("a failure is also told in the thread of the message that it changed, once, after the change", async () => {
  using chat = openMattermostBot();
  await using stage = await open(chat.url, { broadcast: true });
  stage.announcing().sending();
  const run_id = await stage.run("failed");
  await stage.settled(4);
  const [root, reply, ...more] = chat.messages();
  expect(more).toEqual([]);
  expect([root?.edits, reply?.root]).toEqual([2, root?.id]);
  expect(shown(reply ?? { message: "", props: {} })).toContain("failed");
  expect(chat.requests.map(({ method }) => method)).toEqual(["POST", "PUT", "PUT", "POST"]);
  expect((await stage.posts(run_id)).map(({ destination, state, status }) => [destination, state, status])).toEqual([
    ["chat:builds", "queued", "sent"],
    ["chat:builds", "running", "sent"],
    ["chat:builds", "failed", "sent"],
    ["chat:builds/reply", "failed", "sent"],
  ]);
  await stage.run("succeeded");
  await stage.settled(7);
  await stage.quiet();
  expect(chat.messages()).toHaveLength(3);
});

test("there is no answer where nothing was changed, or nobody asked for one", async () => {
  using chat = openMattermostBot();
  await using only = await open(chat.url, { broadcast: true, states: ["failed"] });
  only.announcing().sending();
  await only.run("failed");
  await only.settled(1);
  await only.quiet();
  await using silent = await open(chat.url);
  silent.announcing().sending();
  await silent.run("failed");
  await silent.settled(3);
  await silent.quiet();
  expect(chat.messages().map(({ root }) => root)).toEqual([null, null]);
});

test("an answer that failed is tried again by itself: the message is not changed once more", async () => {
  using chat = openMattermostBot({ script: ["normal", "normal", "normal", 503] });
  await using stage = await open(chat.url, { broadcast: true });
  stage.announcing().sending();
  await stage.run("failed");
  await stage.settled(5);
  expect(chat.messages().map(({ edits }) => edits)).toEqual([2, 0]);
});

test("what a frozen gateway overwrites is put right", async () => {
  const ice = gate();
  using chat = openMattermostBot({ script: ["normal", { gate: ice }] });
  await using stage = await open(chat.url, { timeout: "1s" });
  // It sends, and gets no answer until long after its claim has run out.
  const frozen = stage.announcing().sending({
    send: (post, outbound) => sendPost(post, { ...outbound, timeout: 60_000 }),
  });
  await stage.run("succeeded");
  await chat.arrived(2);
  void frozen.stop();
  stage.skip(60_000);
  stage.sending();
  await until(async () => chat.messages()[0]?.edits === 1);
  expect(shown(chat.messages()[0] ?? { message: "", props: {} })).toContain("succeeded");
  ice.open();
  await until(async () => chat.messages()[0]?.edits === 3);
  expect(shown(chat.messages()[0] ?? { message: "", props: {} })).toContain("succeeded");
  expect(chat.messages()).toHaveLength(1);
  expect(chat.requests).toHaveLength(4);
});
