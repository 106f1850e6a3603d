import { expect, test } from "bun:test";
import { type Destinations, destinationsFrom } from "../../src/gateway/destinations.ts";
import { configSchema, secretsOf } from "../../src/config.ts";
import { openMattermost } from "../fakes/mattermost.ts";
import { gate, openRemote } from "../fakes/remote.ts";
import { until } from "../stores/conformance/given.ts";
import { chatAt, Stage } from "./stage.ts";

/** The chat `builds` as another configuration has it. */
function elsewhere(hook: string, more = {}): Destinations {
  const config = configSchema().parse({ chats: chatAt("builds", { rate: "1000/s", ...more }) });
  for (const { secret } of secretsOf(config)) secret.bind(() => hook);
  return destinationsFrom(config, { mask: (text) => text });
}

test("a post that is being sent ends where it began; the next one goes where the chat is now", async () => {
  const held = gate();
  const begun: string[] = [];
  using before = openRemote({
    async service({ text }) {
      begun.push(text);
      await held.opened;
      return { status: 200, body: "ok" };
    },
  });
  using after = openMattermost();
  await using stage = await Stage.open({
    chats: chatAt("builds"),
    texts: { "builds/hook.url": `${before.url}/hooks/abc123` },
  });
  const sender = stage.announcing().sending();
  await stage.report("1");
  await until(async () => begun.length === 1);
  sender.use(elsewhere(after.url));
  await stage.report("2");
  // One at a time at one destination, whatever it is made of.
  expect(after.posts).toEqual([]);
  held.open();
  await stage.settled(2);
  await stage.quiet();
  expect([begun.length, after.posts.length]).toEqual([1, 1]);
  expect(stage.settlements.map(({ verdict }) => verdict)).toEqual(["sent", "sent"]);
});

test("a rate that stays is not filled again", async () => {
  using chat = openMattermost();
  using other = openMattermost();
  await using stage = await Stage.open({
    chats: { ...chatAt("builds", { rate: "2/m" }), ...chatAt("others") },
    texts: { "builds/hook.url": chat.url, "others/hook.url": other.url },
  });
  const sender = stage.announcing().sending();
  const next = elsewhere(chat.url, { rate: "2/m" });
  const here = stage.destinations.get("chat:others");
  if (here) next.set("chat:others", here);
  for (let id = 1; id <= 4; id++) {
    await stage.report(String(id));
    // Who hears of everything shows that the sender has looked.
    await until(async () => other.posts.length === id);
    sender.use(next);
  }
  expect(chat.posts).toHaveLength(2);
  stage.skip(30_000);
  await until(async () => chat.posts.length === 3);
});

test("posts for a chat that is gone wait until it comes back", async () => {
  using chat = openMattermost();
  await using stage = await Stage.open({ chats: chatAt("builds"), texts: { "builds/hook.url": chat.url } });
  stage.announcing();
  const sender = stage.sending();
  sender.use(new Map());
  await stage.report("1");
  await until(async () => (await stage.store.destinations()).some(({ waiting }) => waiting === 1));
  sender.use(elsewhere(chat.url));
  await stage.settled(1);
  expect(chat.posts).toHaveLength(1);
});

test("a post that the store was giving out for a chat goes there, though the chat is gone by then", async () => {
  using chat = openMattermost();
  await using stage = await Stage.open({ chats: chatAt("builds"), texts: { "builds/hook.url": chat.url } });
  const held = gate();
  let claims = 0;
  const sender = stage.announcing().sending({
    store: {
      ...stage.store,
      async claim(...asked) {
        const answer = await stage.store.claim(...asked);
        if (answer.post === null) return answer;
        claims++;
        await held.opened;
        return answer;
      },
    },
  });
  await stage.report("1");
  await until(async () => claims === 1);
  sender.use(new Map());
  held.open();
  await stage.settled(1);
  expect(chat.posts).toHaveLength(1);
});
