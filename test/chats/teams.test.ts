import { describe, expect, test } from "bun:test";
import { sent } from "../../src/core/post.ts";
import { teams } from "../../src/chats/teams.ts";
import { mentionsIn, openTeams, type Teams } from "../fakes/teams.ts";
import { keepsWhatEveryChatKeeps, type Sending, staged } from "./sending.ts";

const error = (code: string, message = "") => JSON.stringify({ error: { code, message } });

const kind: Sending<Teams> = {
  open: (script = []) => openTeams({ script }),
  entry: ({ url }) => ({ entry: { kind: "teams", url: "teams/builds.url" }, texts: { "teams/builds.url": url } }),
  refused: { status: 400, body: error("TriggerInputSchemaMismatch") },
  isPlain: (post) => !JSON.stringify(post).includes("RichTextBlock"),
  dead: [
    ["the signature is wrong", { status: 401, body: error("DirectApiAuthorizationRequired") }],
    ["a proxy adds an authorization", { status: 400, body: error("DirectApiRequestHasMoreThanOneAuthorization") }],
    ["the flow is turned off", { status: 400, body: error("WorkflowTriggerIsNotEnabled") }],
    ["a policy forbids it", 403],
    ["the flow is gone", { status: 404, body: error("WorkflowNotFound") }],
    ["it says 410", 410],
    ["a login page answers 200", { status: 200, body: "<!DOCTYPE html><title>Sign in</title>" }],
  ],
  mentionsIn,
};

const judged = (status: number, text: string) =>
  teams.judge({ status, headers: new Headers(), text }, { key: "5e", subject: "1" });

describe("teams", () => {
  keepsWhatEveryChatKeeps(kind);

  test.each([{}, { powerPlatform: true }, { status: 200 as const }])("posts to a flow like %j", async (about) => {
    using flow = openTeams(about);
    await using stage = await staged(flow, kind);
    stage.announcing().sending();
    await stage.run("failed");
    expect((await stage.settled(3)).map(({ verdict }) => verdict)).toEqual(["sent", "sent", "sent"]);
    expect([flow.posts.length, flow.faults]).toEqual([3, []]);
  });

  test("tells only the ends of runs where nothing else is said: it can change no card", async () => {
    using flow = openTeams();
    await using stage = await staged(flow, kind, { states: undefined as never });
    stage.announcing().sending();
    await stage.run("succeeded");
    await stage.settled(1);
    await stage.quiet();
    expect(flow.posts).toHaveLength(1);
  });

  test("does not knock twice where the flow is gone", async () => {
    using flow = openTeams({ deleted: true });
    await using stage = await staged(flow, kind);
    stage.announcing().sending();
    await stage.report("1");
    expect((await stage.settled(1))[0]?.why).toStartWith("status 404, WorkflowNotFound");
    expect(flow.requests).toHaveLength(1);
  });

  test("a throttling that comes as a 200 is one all the same", async () => {
    const body = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429";
    using flow = openTeams({ script: [{ status: 200, body }] });
    await using stage = await staged(flow, kind);
    stage.announcing().sending();
    await stage.report("1");
    expect((await stage.settled(2)).map(({ verdict }) => verdict)).toEqual(["later", "sent"]);
    expect(flow.posts).toHaveLength(1);
  });

  test.each([
    ["https://acme.webhook.office.com/webhookb2/0f0e@1a1b/IncomingWebhook/2c2d/3e3f", "retired"],
    ["https://outlook.office.com/webhook/0f0e@1a1b/IncomingWebhook/2c2d/3e3f", "retired"],
    ["https://OUTLOOK.office365.com/webhook/0f0e@1a1b/IncomingWebhook/2c2d", "retired"],
    ["https://prod-07.westeurope.logic.azure.com:443/workflows/0f0e/triggers/manual/paths/invoke?sv=1.0", "sig="],
    [
      "https://acme.07.environment.api.powerplatform.com/powerautomate/automations/direct/workflows/0f0e?sv=1.0",
      "sig=",
    ],
  ])("refuses %s before anything is sent", async (url, said) => {
    await using stage = await staged({ url } as Teams, kind);
    stage.announcing().sending();
    await stage.report("1");
    const [settled] = await stage.settled(1);
    expect(settled).toMatchObject({ verdict: "dead" });
    expect(settled?.why).toContain(said);
    expect(settled?.why).not.toContain("0f0e");
  });

  test.each([
    "https://prod-07.westeurope.logic.azure.com:443/workflows/0f0e/triggers/manual/paths/invoke?sig=abc",
    "https://acme.07.environment.api.powerplatform.com/powerautomate/automations/direct/workflows/0f0e?sig=abc",
    "https://relay.acme.example/teams",
    "https://webhook.office.com.acme.example/teams",
  ])("has nothing against %s", (url) => expect(teams.refuseUrl?.(new URL(url))).toBeNull());

  test("takes every 2xx for sent, and repeats nothing of a refusal but the error's own name", () => {
    expect([200, 201, 202, 204].map((status) => judged(status, ""))).toEqual([sent(), sent(), sent(), sent()]);
    expect(judged(404, error("WorkflowNotFound", "abcdefgh"))).toEqual({
      verdict: "dead",
      why: "status 404, WorkflowNotFound",
    });
    expect(JSON.stringify(judged(400, error("abc/def", "abcdefgh")))).not.toMatch(/abc/);
    expect(judged(413, "").verdict).toBe("degrade");
  });
});
