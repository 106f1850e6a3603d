import { expect, test } from "bun:test";
import { gate } from "../fakes/remote.ts";
import { openJira, openYouTrack, type TrackerOptions } from "../fakes/tracker.ts";
import { until } from "../stores/conformance/given.ts";
import { jiraAt, jiraToken, Stage } from "./stage.ts";

const open = (site: string, more = {}, retry = {}) =>
  Stage.open({ sources: jiraAt(site, more), texts: { "jira/rest.token": jiraToken }, retry });
const basic = `Basic ${Buffer.from(`bot@acme.example:${jiraToken}`).toString("base64")}`;

test("a failed run is one comment, as the account that was configured", async () => {
  using jira = openJira({ authorization: basic });
  await using stage = await open(jira.url);
  stage.announcing().sending();
  await stage.run("failed");
  await stage.settled(1);
  expect(jira.faults).toEqual([]);
  expect(jira.comments).toHaveLength(1);
  expect(jira.comments[0]?.text).toContain("AppTests.CartTests/testTotal");
  expect(jira.requests.map(({ method }) => method)).toEqual(["POST"]);
});

test.each([["accept-then-reset"], [500], [502], [504], [408]] as const)(
  "an ambiguous failure (%p) is looked for before the comment is posted again",
  async (injected) => {
    using jira = openJira({ script: [injected] });
    await using stage = await open(jira.url);
    stage.announcing().sending();
    await stage.run("failed");
    const settled = await stage.settled(2);
    expect(settled.map(({ verdict }) => verdict)).toEqual(["later", "sent"]);
    expect(jira.comments).toHaveLength(1);
    expect(jira.requests.map(({ method }) => method).slice(0, 2)).toEqual(["POST", "GET"]);
    expect(jira.faults).toEqual([]);
  },
);

test("a comment that was found is not posted again", async () => {
  using jira = openJira({ script: ["accept-then-reset"] });
  await using stage = await open(jira.url);
  stage.announcing().sending();
  await stage.run("failed");
  expect((await stage.settled(2)).at(-1)).toMatchObject({ verdict: "sent", why: "found at the provider" });
  expect(jira.requests.map(({ method }) => method)).toEqual(["POST", "GET"]);
});

test("while it cannot look it does not post", async () => {
  using jira = openJira({ script: ["accept-then-reset", 503, "reset", 429] });
  await using stage = await open(jira.url);
  stage.announcing().sending();
  await stage.run("failed");
  const settled = await stage.settled(5);
  expect(settled.map(({ verdict }) => verdict)).toEqual(["later", "later", "later", "later", "sent"]);
  expect(jira.comments).toHaveLength(1);
});

test("where it may not look it posts: better twice than never", async () => {
  using jira = openJira({ script: ["reset", 403] });
  await using stage = await open(jira.url);
  stage.announcing().sending();
  await stage.run("failed");
  expect((await stage.settled(2)).at(-1)).toMatchObject({ verdict: "sent" });
  expect(jira.comments).toHaveLength(1);
});

test("a gateway that died between sending and writing it down leaves one comment", async () => {
  using jira = openJira();
  await using stage = await open(jira.url, { timeout: "1s" });
  // The first gateway posts and never settles.
  const { store } = stage;
  stage.announcing().sending({
    store: { stirred: store.stirred, claim: store.claim, settle: () => new Promise(() => {}) },
  });
  await stage.run("failed");
  await until(async () => jira.comments.length === 1);
  const second = stage.sending();
  await until(async () => {
    stage.skip(100);
    return second.underWay() === 0 && stage.settlements.length > 0;
  });
  expect(stage.settlements).toMatchObject([{ verdict: "sent", why: "found at the provider" }]);
  expect(jira.comments).toHaveLength(1);
});

test("credentials that are refused are told once, with what to do", async () => {
  using jira = openJira({ authorization: "Basic bm9ib2R5Om5vdGhpbmc=" });
  await using stage = await open(jira.url);
  stage.announcing().sending();
  await stage.run("failed");
  const [dead] = await stage.settled(1);
  expect(dead).toMatchObject({ verdict: "dead" });
  expect(dead?.why).toContain("refused the credentials");
  expect(jira.requests).toHaveLength(1);
});

test("a refused document is not sent again: there is no plainer one", async () => {
  using jira = openJira({ script: [400] });
  await using stage = await open(jira.url);
  stage.announcing().sending();
  await stage.run("failed");
  expect(await stage.settled(1)).toMatchObject([{ verdict: "dead" }]);
  expect(jira.requests).toHaveLength(1);
});

test("the published retry block works as it is pasted", async () => {
  using jira = openJira({ script: [409, 425, 504] });
  const retry = {
    max_attempts: 6,
    base_delay_ms: 1,
    max_delay_ms: 30_000,
    jitter_ratio: 0.25,
    respect_retry_after: true,
    retry_on_status: [408, 409, 425, 429, 500, 502, 503, 504],
    no_retry_on_status: [400, 401, 403, 404],
    dedupe_key: "{{issue_key}}:{{transition_id}}:{{run_id}}",
  };
  await using stage = await open(jira.url, { retry });
  stage.announcing().sending();
  await stage.run("failed");
  await until(async () => jira.comments.length === 1);
  await until(async () => stage.settlements.at(-1)?.verdict === "sent");
  expect(jira.comments).toHaveLength(1);
});

test("two comments on one issue, one slow: neither is lost, neither comes twice", async () => {
  const slow = gate();
  const script: TrackerOptions["script"] = [{ gate: slow, after: "accept-then-reset" }];
  using jira = openJira({ script });
  await using stage = await open(jira.url);
  stage.announcing().sending({ atOnce: { each: 2, all: 512 } });
  await stage.run("failed", "MOB-1");
  await jira.arrived(1);
  await stage.run("failed", "MOB-2");
  await stage.settled(1);
  slow.open();
  await stage.settled(3);
  expect(jira.comments.map(({ issue }) => issue).toSorted()).toEqual(["MOB-1", "MOB-2"]);
});

test("YouTrack gets under five lines, once, after an ambiguous failure too", async () => {
  using youtrack = openYouTrack({ script: ["accept-then-reset"], authorization: `Bearer ${jiraToken}` });
  const sources = {
    jira: {
      kind: "youtrack",
      path: "/youtrack",
      token: "youtrack/inbound.token",
      build_when: [{ event: ["issueUpdated"] }],
      task: { script: "build-ios" },
      comment: { site: youtrack.url, token: "youtrack/rest.token" },
    },
  };
  await using stage = await Stage.open({ sources, texts: { "youtrack/rest.token": jiraToken } });
  stage.announcing().sending();
  await stage.run("failed");
  await stage.settled(2);
  expect(youtrack.faults).toEqual([]);
  expect(youtrack.comments).toHaveLength(1);
  expect(youtrack.requests.map(({ method }) => method)).toEqual(["POST", "GET"]);
});
