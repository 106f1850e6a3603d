import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../../src/core/json.ts";
import { type Announcement, type RunState, runStates } from "../../src/core/records.ts";
import type { Injection, Received } from "../fakes/remote.ts";
import { Stage } from "../gateway/stage.ts";
import { askOf, heldOf, leased, queue, resultOf } from "../stores/conformance/given.ts";

// What every chat that can edit keeps, whatever its protocol: shown through the sender, a real store and a strict server.

export interface Message {
  /** All that it shows. */
  text: string;
  edits: number;
  /** What it would make of a stranger's text. */
  active: string[];
  /** The place of the message that it answers, else null. */
  answers: number | null;
}

/** A server of that kind, and how it is configured. */
export interface Scene {
  entry: JsonObject;
  token: string;
  messages(): Message[];
  /** Deletes all messages; null where a message cannot be lost. */
  forget: (() => void) | null;
  requests: Received[];
  faults: string[];
  close(): void;
}

export type OpenScene = (script?: Injection[]) => Scene;

export interface Traits {
  thread: boolean;
}

/** Opens a stage with this one chat, which hears every state. */
export function stageOf({ entry, token }: Scene, more: JsonObject = {}): Promise<Stage> {
  const chat = { token: "chat/bot.token", states: [...runStates], ...entry, ...more };
  return Stage.open({ chats: { builds: chat }, texts: { "chat/bot.token": token } });
}

/** Takes a run through its states one by one, each told before the next begins. */
export async function* tellRun(stage: Stage, text = "Ship the cart"): AsyncGenerator<RunState> {
  await queue(stage.store, { source: "jira", summary: text, ref: text, issue_url: issue });
  await stage.settled(1);
  yield "queued";
  const lease = await leased(stage.store, askOf());
  await stage.settled(2);
  yield "running";
  await stage.store.finish(resultOf(heldOf(lease), "failed", { failing_target: text, log_tail: [text] }));
  await stage.settled(3);
  yield "failed";
}

export const issue = "https://acme.example/browse/MOB-12";

/** An announcement as the house makes them. */
export const announced: Announcement = {
  workflow: "build-ios",
  state: "failed",
  branch: "release/2.1",
  commit: "0123456789abcdef0123456789abcdef01234567",
  run_url: null,
  mesh_node_id: "mac-07",
  provider_run_id: "0193f0a2-7c11-7abc-8def-1234567890ab",
  source: "jira",
  issue_key: "MOB-12",
  issue_id: "10061",
  issue_url: issue,
  summary: "1 of 311 tests failed",
  requested_by: "Rene Roe",
  lane: "ios",
  attempt: 1,
  failing_target: "AppTests.CartTests/testTotal",
  duration_ms: 1000,
  reason: null,
  log_tail: [],
  idempotency_key: null,
  at: 0,
};

export const canary = [
  "<!channel> <!here> <@U123> @channel @here @all @everyone @room @acme <users/all> <at>x</at> #tag $TAG /start",
  "[x](javascript:alert(1)) https://evil.example/x www.evil.example *b* _i_ ~s~ `c` ``` & < > \" ' | # \\ &lt;",
  "<b>x</b> <img src=x> <a href='https://evil.example'>x</a> <a|b> \u202E \u0000 \u{1F600} é 𝒳",
].join(" ");

/** Tests what all of them keep. */
export function tellsOneTimeline(kind: string, open: OpenScene, { thread }: Traits): void {
  describe(`${kind}, as every chat that can edit`, () => {
    test("changes the same message after a restart", async () => {
      const scene = open();
      await using stage = await stageOf(scene);
      const first = stage.announcing().sending();
      const told = tellRun(stage);
      await told.next();
      await first.stop();
      stage.sending();
      await told.next();
      expect(scene.messages()).toMatchObject([{ edits: 1 }]);
      scene.close();
    });

    test("posts each state on its own where the policy says so", async () => {
      const scene = open();
      await using stage = await stageOf(scene, { policy: "post" });
      stage.announcing().sending();
      for await (const _ of tellRun(stage));
      expect(scene.messages()).toMatchObject([{ edits: 0 }, { edits: 0 }, { edits: 0 }]);
      scene.close();
    });

    test.each(thread ? ["thread"] : [])("answers under the first message where the policy is %s", async (policy) => {
      const scene = open();
      await using stage = await stageOf(scene, { policy });
      stage.announcing().sending();
      for await (const _ of tellRun(stage));
      expect(scene.messages().map(({ answers }) => answers)).toEqual([null, 0, 0]);
      expect(scene.faults).toEqual([]);
      scene.close();
    });

    test.each(thread ? ["thread"] : [])(
      "begins anew when what it would answer under is gone (policy: %s)",
      async (policy) => {
        const scene = open();
        await using stage = await stageOf(scene, { policy });
        stage.announcing().sending();
        const told = tellRun(stage);
        await told.next();
        scene.forget?.();
        await told.next();
        expect(scene.messages()).toMatchObject([{ edits: 0, answers: null }]);
        expect(scene.messages()[0]?.text).toContain("running");
        await told.next();
        expect(scene.messages()[0]?.edits).toBe(0);
        expect(stage.settlements.every(({ verdict }) => verdict === "sent")).toBe(true);
        expect(scene.faults).toEqual([]);
        scene.close();
      },
    );

    test.each([400, 413])(
      "sends a layout that was refused with %i once more as plain text, at once",
      async (status) => {
        const scene = open([status]);
        await using stage = await stageOf(scene);
        stage.announcing().sending();
        await stage.report("1", { state: "failed" });
        expect(await stage.settled(1)).toMatchObject([{ verdict: "sent" }]);
        expect(scene.messages()).toHaveLength(1);
        expect(scene.messages()[0]?.text).toContain("nightly-1 failed");
        expect(scene.requests).toHaveLength(2);
        expect(scene.requests[1]?.text.length).toBeLessThan(scene.requests[0]?.text.length ?? 0);
        expect(scene.faults).toEqual([]);
        scene.close();
      },
    );

    test("sends a change that was refused once more as plain text, to the same message", async () => {
      const scene = open(["normal", 400]);
      await using stage = await stageOf(scene, { states: ["queued", "running"] });
      stage.announcing().sending();
      const told = tellRun(stage);
      await told.next();
      await told.next();
      expect(stage.settlements).toMatchObject([{ verdict: "sent" }, { verdict: "sent" }]);
      expect(scene.messages().at(-1)?.text).toContain("running");
      scene.close();
    });

    test("gives up after plain text was refused too", async () => {
      const scene = open([400, 400]);
      await using stage = await stageOf(scene);
      stage.announcing().sending();
      await stage.report("1");
      expect(await stage.settled(1)).toMatchObject([{ verdict: "dead" }]);
      expect(scene.requests).toHaveLength(2);
      scene.close();
    });

    test.each([401, 403, 404, 410])("does not knock twice on a door that said %i", async (status) => {
      const scene = open([status, status]);
      await using stage = await stageOf(scene);
      stage.announcing().sending();
      await stage.report("1");
      expect(await stage.settled(1)).toMatchObject([{ verdict: "dead" }]);
      expect(scene.requests).toHaveLength(1);
      scene.close();
    });

    test.each([200, 201, 204])("takes a login page with %i for no success", async (status) => {
      const scene = open([{ status, body: status === 204 ? "" : "<!doctype html><title>Sign in</title>" }]);
      await using stage = await stageOf(scene);
      stage.announcing().sending();
      await stage.report("1");
      expect(await stage.settled(1)).toMatchObject([{ verdict: "dead" }]);
      scene.close();
    });

    test("makes a change whose answer was lost once more, and shows it once", async () => {
      const scene = open(["normal", "accept-then-reset"]);
      await using stage = await stageOf(scene, { states: ["queued", "failed"] });
      stage.announcing().sending();
      await stage.run("failed");
      expect((await stage.settled(3)).map(({ verdict }) => verdict)).toEqual(["sent", "later", "sent"]);
      expect(scene.messages()).toHaveLength(1);
      expect(scene.messages()[0]?.text).toContain("failed");
      expect(scene.faults).toEqual([]);
      scene.close();
    });

    test("a stranger's text mentions nobody and is no link in the plain layout either", async () => {
      const scene = open([400]);
      await using stage = await stageOf(scene, { policy: "post", states: ["queued", "failed"] });
      stage.announcing().sending();
      const text = `${canary} ${canary} ${"x".repeat(20_000)}`;
      await queue(stage.store, { source: "jira", summary: text, ref: text, issue_key: text, issue_url: issue });
      await stage.settled(1);
      const lease = await leased(stage.store, askOf());
      await stage.store.finish(resultOf(heldOf(lease), "failed", { failing_target: text, log_tail: [text] }));
      await stage.settled(2);
      expect(scene.messages().map(({ active }) => active)).toEqual([[], []]);
      expect(scene.faults).toEqual([]);
      scene.close();
    });

    test("what a server repeats of our token goes nowhere", async () => {
      const script: Injection[] = [];
      for (const status of [200, 400, 401, 403, 404, 429, 500]) {
        const scene = open(script);
        script[0] = { status, body: `no bot ${scene.token}` };
        await using stage = await stageOf(scene);
        stage.announcing().sending({ mask: (text) => text });
        await stage.report("1");
        await stage.settled(1);
        expect(JSON.stringify(stage.settlements)).not.toContain(scene.token.slice(-12));
        scene.close();
      }
    });
  });
}
