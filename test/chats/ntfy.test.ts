import { expect, test } from "bun:test";
import { ntfy } from "../../src/chats/ntfy.ts";
import { activeIn, type NtfyOptions, openNtfy, refusal, token, topic } from "../fakes/ntfy.ts";
import { Stage } from "../gateway/stage.ts";
import { announced, issue, type Scene, stageOf, tellRun, tellsOneTimeline } from "./timeline.ts";

function open(script: NtfyOptions["script"] = [], more: NtfyOptions = {}): Scene {
  const server = openNtfy({ script, ...more });
  const { url, requests, faults, close } = server;
  const entry = { kind: "ntfy", base_url: url, topic };
  const messages = () =>
    server.messages().map(({ body, edits }) => ({
      text: `${String(body.title)}\n${String(body.message)}`,
      edits,
      active: activeIn(body, [issue]),
      answers: null,
    }));
  // A notification that was swiped away comes back when it changes.
  return { entry, token, messages, forget: null, requests, faults, close };
}

tellsOneTimeline("ntfy", open, { thread: false });

test("posts each state anew on a server that knows no sequences", async () => {
  const scene = open([], { old: true });
  await using stage = await stageOf(scene);
  stage.announcing().sending();
  for await (const _ of tellRun(stage));
  expect(scene.messages()).toHaveLength(3);
  expect(scene.faults).toEqual([]);
  scene.close();
});

test("publishes without a token where none is configured", async () => {
  const scene = open([], { open: true });
  await using stage = await Stage.open({ chats: { builds: scene.entry } });
  stage.announcing().sending();
  await stage.report("1");
  await stage.settled(1);
  expect(scene.requests[0]?.headers.has("authorization")).toBe(false);
  scene.close();
});

test("rings louder the worse it is", async () => {
  const scene = open();
  await using stage = await stageOf(scene);
  stage.announcing().sending();
  for await (const _ of tellRun(stage));
  const priorities = scene.requests.map(({ text }) => (JSON.parse(text) as { priority: number }).priority);
  expect(priorities).toEqual([2, 2, 4]);
  scene.close();
});

test("keeps trying after a limit, and asks no more on a day whose messages are used up", async () => {
  const date = new Date(Date.UTC(2026, 10, 20, 21, 0, 0)).toUTCString();
  const scene = open([
    refusal(429, 42901, "limit reached: too many requests"),
    refusal(429, 42908, "limit reached: daily message quota reached", { Date: date }),
  ]);
  await using stage = await stageOf(scene);
  stage.announcing().sending();
  await stage.report("1");
  await stage.settled(2);
  expect(stage.settlements[1]).toHaveProperty("pause_until");
  await stage.later(3 * 3_600_000 - 60_000);
  expect(scene.requests).toHaveLength(2);
  await stage.later(180_000);
  expect((await stage.settled(3)).map(({ verdict }) => verdict)).toEqual(["later", "later", "sent"]);
  scene.close();
});

test.each([
  [401, 40101, "dead"],
  [403, 40301, "dead"],
  [404, 40401, "dead"],
  [400, 40024, "degrade"],
  [413, 41303, "degrade"],
  [429, 42901, "retry"],
  [507, 50701, "retry"],
])("judges %i %i as %s", (status, code, verdict) => {
  const reply = { status, headers: new Headers(), text: JSON.stringify({ code, http: status, error: "no" }) };
  expect(ntfy.judge(reply, { key: "5e".repeat(32), subject: "s" }).verdict).toBe(verdict as "dead");
});

test("keeps the longest texts within a message, in bytes", () => {
  const long = "\u{1F600}".repeat(600);
  const a = { ...announced, workflow: long, branch: long, summary: long, issue_key: long, failing_target: long };
  const entry = ntfy.options.parse({ kind: "ntfy", topic });
  const run_url = `https://ci.example/${"a".repeat(1900)}`;
  for (const plain of [false, true]) {
    const { body } = ntfy.post({ ...a, run_url }, entry, { key: "5e".repeat(32), subject: "s", plain });
    const { message } = JSON.parse(JSON.stringify(body)) as { message: string };
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(4096);
    expect(message.isWellFormed()).toBe(true);
    if (plain) expect(message).toEndWith(run_url);
  }
});
