import { describe, expect, test } from "bun:test";
import { configSchema } from "../../src/config.ts";
import { mentionsIn, type Openclaw, openOpenclaw } from "../fakes/openclaw.ts";
import { keepsWhatEveryChatKeeps, type Sending, staged } from "./sending.ts";

const failure = (type: string) => JSON.stringify({ ok: false, error: { type, message: "said" } });
const place = { channel: "slack", target: "channel:C0BUILDS" };

const kind: Sending<Openclaw> = {
  open: (script = []) => openOpenclaw({ script }),
  entry: ({ url, token }) => ({
    entry: { kind: "openclaw", base_url: url, token: "openclaw/gateway.token", ...place },
    texts: { "openclaw/gateway.token": token },
  }),
  refused: { status: 400, body: failure("tool_error") },
  isPlain: ({ message }) => !String(message).includes("\nIssue: ") && String(message).startsWith("`"),
  dead: [
    ["the token is wrong", { status: 401, body: failure("unauthorized") }],
    ["it is forbidden", { status: 403, body: failure("forbidden") }],
    ["the tool is not allowed", { status: 404, body: failure("not_found") }],
    ["something else answers 200", { status: 200, body: "<!doctype html><title>Control</title>" }],
    ["another status of success is none of its own", 204],
  ],
  mentionsIn,
};

const parse = (more: object) =>
  configSchema().safeParse({ chats: { claw: { kind: "openclaw", token: "openclaw/gateway.token", ...more } } });

describe("openclaw", () => {
  keepsWhatEveryChatKeeps(kind);

  test("asks the message tool for what the configuration names, as the gateway's owner", async () => {
    using gateway = openOpenclaw();
    await using stage = await staged(gateway, kind);
    stage.announcing().sending();
    await stage.report("1", { state: "failed", failing_target: "lint", run_url: "https://ci.example/runs/41" });
    await stage.settled(1);
    expect(gateway.posts).toEqual([
      {
        action: "send",
        ...place,
        message: "❌ `nightly-1` failed\non `main`\nLog: https://ci.example/runs/41\nFailed: `lint`",
      },
    ]);
    expect(gateway.faults).toEqual([]);
  });

  test("a tool that failed is asked again, whatever status says so", async () => {
    using gateway = openOpenclaw({
      script: [
        { status: 500, body: failure("tool_error") },
        { status: 200, body: failure("tool_error") },
      ],
    });
    await using stage = await staged(gateway, kind);
    stage.announcing().sending();
    await stage.report("1");
    const settled = await stage.settled(3);
    expect(settled.map(({ verdict }) => verdict)).toEqual(["later", "later", "sent"]);
    expect(settled[1]?.why).toStartWith("status 200, tool_error: not ok");
  });

  test("does not knock twice where the tool is not allowed, and says so", async () => {
    using gateway = openOpenclaw({ denied: true });
    await using stage = await staged(gateway, kind);
    stage.announcing().sending();
    await stage.report("1");
    expect((await stage.settled(1))[0]?.why).toStartWith("status 404, not_found: the message tool is not allowed");
    await stage.later(3_600_000);
    expect(gateway.requests).toHaveLength(1);
  });

  test("looks for the gateway on this machine where nothing else is said, and needs a place to post to", () => {
    expect(parse(place).data?.chats.claw).toMatchObject({ base_url: "http://127.0.0.1:18789" });
    expect(parse({ ...place, base_url: "https://claw.acme.internal/" }).data?.chats.claw).toMatchObject({
      base_url: "https://claw.acme.internal",
    });
    expect(parse({ channel: "slack" }).success).toBe(false);
    expect(parse({ ...place, base_url: "claw" }).success).toBe(false);
  });
});
