import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../../src/core/json.ts";
import { openLinear } from "../fakes/linear.ts";
import type { Injection } from "../fakes/remote.ts";
import { json } from "../fakes/strict.ts";
import { openGithub, type Tracker, type TrackerOptions } from "../fakes/tracker.ts";
import { Stage } from "./stage.ts";

const token = "lin_api_0123456789abcdef0123456789abcdef";
const issue_url = "https://github.com/acme/app/issues/12";

const hubs: [kind: string, open: (options?: TrackerOptions) => Tracker, credentials: string, place: string][] = [
  ["github", openGithub, `Bearer ${token}`, "acme/app/issues/12"],
  ["linear", openLinear, token, "10012"],
];

const stageAt = (kind: string, base_url: string, more: JsonObject = {}) =>
  Stage.open({
    sources: {
      jira: {
        kind,
        path: "/hub",
        token: "hub/inbound.token",
        build_when: [{ status: "open" }],
        task: { script: "build-ios" },
        comment: { base_url, token: "hub/rest.token", ...more },
      },
    },
    texts: { "hub/rest.token": token },
  });

const failed = (stage: Stage) => stage.run("failed", "app-12", { issue_id: "10012", issue_url });

describe.each(hubs)("%s", (kind, open, authorization, place) => {
  test("gets one comment, as whom the configuration says", async () => {
    using hub = open({ authorization });
    await using stage = await stageAt(kind, hub.url);
    stage.announcing().sending();
    await failed(stage);
    await stage.settled(1);
    expect(hub.faults).toEqual([]);
    expect(hub.comments.map(({ issue }) => issue)).toEqual([place]);
    expect(hub.comments[0]?.text).toContain("AppTests.CartTests/testTotal");
  });

  test.each([["accept-then-reset"], [500], [502]] as const)(
    "is asked before a comment whose fate is unknown (%p) is posted again",
    async (injected) => {
      using hub = open({ script: [injected] });
      await using stage = await stageAt(kind, hub.url);
      stage.announcing().sending();
      await failed(stage);
      const settled = await stage.settled(2);
      expect(settled.map(({ verdict }) => verdict)).toEqual(["later", "sent"]);
      expect(hub.comments).toHaveLength(1);
      expect(hub.faults).toEqual([]);
    },
  );

  test("is told of the issue that is gone, without condemning the account", async () => {
    using hub = open({ issues: ["another"] });
    await using stage = await stageAt(kind, hub.url);
    stage.announcing().sending();
    await failed(stage);
    const [dead] = await stage.settled(1);
    expect(dead).toMatchObject({ verdict: "dead", why: expect.stringContaining("no such issue") });
    expect((await stage.store.destinations()).filter(({ circuit }) => circuit === "open")).toEqual([]);
  });

  test("refuses a token once, and the circuit opens", async () => {
    using hub = open({ authorization: "Bearer nobody" });
    await using stage = await stageAt(kind, hub.url);
    stage.announcing().sending();
    await failed(stage);
    const [dead] = await stage.settled(1);
    expect(dead).toMatchObject({ verdict: "dead", why: expect.stringContaining("refused the token") });
    expect(await stage.store.destinations()).toMatchObject([{ circuit: "open", cause: "config" }]);
  });
});

const limits: [kind: string, open: (options?: TrackerOptions) => Tracker, about: string, answer: Injection][] = [
  [
    "github",
    openGithub,
    "a second limit",
    json(403, { message: "You have exceeded a secondary rate limit." }, { "Retry-After": "1" }),
  ],
  [
    "github",
    openGithub,
    "the first limit",
    json(403, { message: "API rate limit exceeded" }, { "X-RateLimit-Remaining": "0" }),
  ],
  [
    "linear",
    openLinear,
    "its limit",
    json(400, { errors: [{ message: "Rate limit exceeded", extensions: { code: "RATELIMITED" } }] }),
  ],
  [
    "linear",
    openLinear,
    "a fault of its own, said with 200",
    json(200, { errors: [{ message: "boom", extensions: { code: "INTERNAL_SERVER_ERROR" } }] }),
  ],
];
test.each(limits)("%s, %p: the comment waits and comes, once", async (kind, open, _about, answer) => {
  using hub = open({ script: [answer] });
  await using stage = await stageAt(kind, hub.url);
  stage.announcing().sending();
  await failed(stage);
  expect((await stage.settled(2)).map(({ verdict }) => verdict)).toEqual(["later", "sent"]);
  expect(hub.comments).toHaveLength(1);
});

test("while Linear fails to answer a search, nothing is posted", async () => {
  const failing = json(200, { errors: [{ message: "boom", extensions: { code: "INTERNAL_SERVER_ERROR" } }] });
  using hub = openLinear({ script: ["accept-then-reset", failing, failing] });
  await using stage = await stageAt("linear", hub.url);
  stage.announcing().sending();
  await failed(stage);
  expect((await stage.settled(4)).map(({ verdict }) => verdict)).toEqual(["later", "later", "later", "sent"]);
  expect(hub.comments).toHaveLength(1);
});

test("Linear takes the access token of an application as Bearer", async () => {
  using hub = openLinear({ authorization: `Bearer ${token}` });
  await using stage = await stageAt("linear", hub.url, { auth: "oauth" });
  stage.announcing().sending();
  await failed(stage);
  expect(await stage.settled(1)).toMatchObject([{ verdict: "sent" }]);
});

test("a push has no issue to comment on: nothing is posted, and nobody is paged for it", async () => {
  using hub = openGithub();
  await using stage = await stageAt("github", hub.url);
  stage.announcing().sending();
  const run_id = await stage.run("failed", "app.main", { issue_id: "app.main", issue_url: null });
  await stage.run("failed", "app-13", { issue_id: "13", issue_url: "https://github.com/acme/app/pull/13" });
  await stage.settled(1);
  expect(hub.comments.map(({ issue }) => issue)).toEqual(["acme/app/issues/13"]);
  expect(await stage.posts(run_id)).toEqual([]);
});
