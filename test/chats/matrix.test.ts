import { expect, test } from "bun:test";
import { matrix } from "../../src/chats/matrix.ts";
import { limited, type MatrixOptions, activeIn, openMatrix, room, token } from "../fakes/matrix.ts";
import { announced, issue, type Scene, stageOf, tellRun, tellsOneTimeline } from "./timeline.ts";

function open(script: MatrixOptions["script"] = [], more: MatrixOptions = {}): Scene {
  const server = openMatrix({ script, ...more });
  const { url, requests, faults, forget, close } = server;
  const entry = { kind: "matrix", base_url: url, room };
  const ids = () => server.messages().map(({ id }) => id);
  const messages = () =>
    server.messages().map(({ content, edits, thread }) => ({
      text: `${String(content.body)}\n${String(content.formatted_body)}`,
      edits,
      active: activeIn(content, [issue]),
      answers: thread === null ? null : ids().indexOf(thread),
    }));
  return { entry, token, messages, forget, requests, faults, close };
}

tellsOneTimeline("matrix", open, { thread: true });

test.each([
  [limited({ retry_after_ms: 2500 }), 2500],
  [limited({}, { "Retry-After": "3" }), 3000],
  [limited({ retry_after_ms: 2500 }, { "Retry-After": "3" }), 3000],
  [limited({ retry_after_ms: 9e15 }), 86_400_000],
  [limited({ retry_after_ms: -1 }), 0],
  [limited({ retry_after_ms: "soon" }), 0],
])("waits as long as a limit asks, in the body or in the header (%#)", async (answer, asked) => {
  const scene = open([answer]);
  await using stage = await stageOf(scene);
  stage.announcing().sending();
  await stage.report("1");
  await stage.settled(1);
  if (asked > 0) {
    expect(stage.settlements[0]).toHaveProperty("pause_until");
    await stage.later(asked - 1000);
    expect(scene.requests).toHaveLength(1);
    await stage.later(1001);
  }
  expect((await stage.settled(2)).map(({ verdict }) => verdict)).toEqual(["later", "sent"]);
  scene.close();
});

test("names each transaction by its post, and the room as it must stand in a path", async () => {
  const scene = open();
  await using stage = await stageOf(scene);
  stage.announcing().sending();
  for await (const _ of tellRun(stage));
  const paths = scene.requests.map(({ path }) => path);
  expect(new Set(paths).size).toBe(3);
  for (const path of paths)
    expect(path).toMatch(
      /^\/_matrix\/client\/v3\/rooms\/!builds%3Aacme\.example\/send\/m\.room\.message\/[0-9a-f]{64}$/,
    );
  scene.close();
});

test("keeps an edit of the longest texts, which holds them twice, within one event", () => {
  const long = "\u{1F600}\"'&<".repeat(500);
  const a = { ...announced, workflow: long, branch: long, summary: long, issue_key: long, failing_target: long };
  const links = {
    run_url: `https://ci.example/${"(".repeat(1900)}`,
    issue_url: `https://acme.example/${"'".repeat(600)}`,
  };
  const entry = matrix.options.parse({
    kind: "matrix",
    base_url: "https://m.example",
    room,
    token: "matrix/bot.token",
  });
  const { body } = matrix.post({ ...a, ...links }, entry, { key: "5e".repeat(32), subject: "s", edit: "$a:b" });
  expect(Buffer.byteLength(JSON.stringify(body))).toBeLessThan(60_000);
});

test.each([
  [400, "M_UNKNOWN", "lost"],
  [404, "M_NOT_FOUND", "lost"],
  [400, "M_BAD_JSON", "degrade"],
  [413, "M_TOO_LARGE", "degrade"],
  [401, "M_UNKNOWN_TOKEN", "dead"],
  [403, "M_FORBIDDEN", "dead"],
  [403, "M_LIMIT_EXCEEDED", "retry"],
  [500, "M_UNKNOWN", "retry"],
])("judges %i %s of a change as %s", (status, errcode, verdict) => {
  const reply = { status, headers: new Headers(), text: JSON.stringify({ errcode, error: "no" }) };
  expect(matrix.judge(reply, { key: "k", subject: "s", edit: "$a:b" }).verdict).toBe(verdict as "lost");
});

test("refuses the alias of a room, and an address with a query", () => {
  const entry = { kind: "matrix", base_url: "https://m.example", room, token: "matrix/bot.token" };
  expect(matrix.options.safeParse(entry).success).toBe(true);
  for (const wrong of [{ room: "#builds:acme.example" }, { base_url: "https://m.example/?x=1" }, { room: "!a/../b" }])
    expect(matrix.options.safeParse({ ...entry, ...wrong }).success).toBe(false);
});
