import { describe, expect, test } from "bun:test";
import { type GoogleChat, mentionsIn, openGoogleChat } from "../fakes/google-chat.ts";
import { keepsWhatEveryChatKeeps, type Sending, staged } from "./sending.ts";

const error = (code: number, status: string, more = {}) =>
  JSON.stringify({ error: { code, status, message: "said", ...more } });

const kind: Sending<GoogleChat> = {
  open: (script = []) => openGoogleChat({ script }),
  entry: ({ url }) => ({
    entry: { kind: "google-chat", url: "google-chat/builds.url" },
    texts: { "google-chat/builds.url": url },
  }),
  refused: { status: 400, body: error(400, "INVALID_ARGUMENT") },
  isPlain: ({ text, cardsV2 }) => typeof text === "string" && cardsV2 === undefined,
  dead: [
    ["the token is unknown", { status: 401, body: error(401, "UNAUTHENTICATED") }],
    ["the key is lost", { status: 403, body: error(403, "PERMISSION_DENIED") }],
    ["the key is not valid", { status: 400, body: error(400, "INVALID_ARGUMENT", { reason: "API_KEY_INVALID" }) }],
    ["the space is gone", { status: 404, body: error(404, "NOT_FOUND") }],
    ["it says 410", 410],
    ["a login page answers 200", { status: 200, body: "<!doctype html><title>Sign in</title>" }],
    ["another status of success is none of its own", 204],
  ],
  mentionsIn,
};

describe("google-chat", () => {
  keepsWhatEveryChatKeeps(kind);

  test("all states of one run stand in one thread, and another run's in another", async () => {
    using space = openGoogleChat();
    await using stage = await staged(space, kind, { states: undefined as never });
    stage.announcing().sending();
    await stage.run("succeeded", "MOB-12");
    await stage.settled(3);
    await stage.run("failed", "MOB-13");
    await stage.settled(6);
    expect(space.faults).toEqual([]);
    expect(space.threads.map((thread) => space.threads.indexOf(thread))).toEqual([0, 0, 0, 3, 3, 3]);
  });

  test("`policy: post` makes a message of each, without a thread", async () => {
    using space = openGoogleChat();
    await using stage = await staged(space, kind, { policy: "post" });
    stage.announcing().sending();
    await stage.run("succeeded");
    await stage.settled(3);
    expect([space.faults, new Set(space.threads).size]).toEqual([[], 3]);
    expect(space.requests.some(({ query }) => query.has("messageReplyOption"))).toBe(false);
  });

  test("the thread holds over a second gateway: no state is kept for it but the run's name", async () => {
    using space = openGoogleChat({ script: ["accept-then-reset", 503, 503] });
    await using stage = await staged(space, kind);
    stage.announcing();
    stage.sending();
    stage.sending();
    await stage.run("succeeded");
    await stage.quiet();
    await stage.later(60_000);
    expect([space.faults, new Set(space.threads).size]).toEqual([[], 1]);
  });

  test("a space that says too much waits by itself, and loses nothing", async () => {
    const full = { status: 429, body: error(429, "RESOURCE_EXHAUSTED") };
    using space = openGoogleChat({ script: [full, full, full] });
    await using stage = await staged(space, kind);
    stage.announcing().sending();
    await stage.report("1");
    expect((await stage.settled(4)).map(({ verdict }) => verdict)).toEqual(["later", "later", "later", "sent"]);
  });

  test.each([{ deleted: true }, { revoked: true }])("does not knock twice on a hook that is %j", async (gone) => {
    using space = openGoogleChat(gone);
    await using stage = await staged(space, kind);
    stage.announcing().sending();
    await stage.report("1");
    expect((await stage.settled(1))[0]?.why).toMatch(/^status 40[14], (NOT_FOUND|UNAUTHENTICATED)/);
    await stage.later(3_600_000);
    expect(space.requests).toHaveLength(1);
  });
});
