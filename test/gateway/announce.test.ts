import { expect, test } from "bun:test";
import { startAnnouncer } from "../../src/gateway/announce.ts";
import { nap } from "../../src/gateway/stir.ts";
import { until } from "../stores/conformance/given.ts";
import { chatAt, jiraAt, jiraToken, Stage } from "./stage.ts";

const texts = { "builds/hook.url": "http://127.0.0.1:9/hooks/abc", "jira/rest.token": jiraToken };
const expanded = (stage: Stage) => until(async () => (await stage.store.events(10)).length === 0);
const told = async (stage: Stage, run_id: string) =>
  (await stage.posts(run_id)).map(({ destination, state }) => `${destination} ${state}`).toSorted();

test("every destination hears the states it asked for, comments only what failed", async () => {
  const chats = {
    ...chatAt("builds"),
    ends: { kind: "mattermost", url: "builds/hook.url" },
    me: { kind: "console", states: ["failed"] },
  };
  await using stage = await Stage.open({ chats, sources: jiraAt("https://acme.example"), texts });
  stage.announcing();
  const run_id = await stage.run("failed");
  await expanded(stage);
  expect(await told(stage, run_id)).toEqual([
    "chat:builds failed",
    "chat:builds queued",
    "chat:builds running",
    "chat:ends failed",
    "chat:me failed",
    "comment:jira failed",
  ]);
});

test("a success is no comment, and a chat may want only some lanes and sources", async () => {
  const chats = {
    ...chatAt("ios", { lanes: ["ios"], states: ["succeeded"] }),
    ...chatAt("mac", { lanes: ["mac"], states: ["succeeded"] }),
    ...chatAt("jira", { sources: ["jira"], states: ["succeeded"] }),
    ...chatAt("github", { sources: ["github"], states: ["succeeded"] }),
  };
  await using stage = await Stage.open({ chats, sources: jiraAt("https://acme.example"), texts });
  stage.announcing();
  const run_id = await stage.run("succeeded");
  await expanded(stage);
  expect(await told(stage, run_id)).toEqual(["chat:ios succeeded", "chat:jira succeeded"]);
  await stage.report("41");
  await expanded(stage);
  const { post } = await stage.store.claim("c", 60_000, ["chat:github", "chat:mac"]);
  expect(post).toMatchObject({ destination: "chat:github", subject: "github/41" });
});

test("dead is told wherever failed is", async () => {
  await using stage = await Stage.open({
    chats: chatAt("builds", { states: ["failed"] }),
    sources: jiraAt("https://acme.example", { on: ["failed"] }),
    texts,
  });
  const dead = { state: "dead", source: "jira", issue_key: "MOB-12", lane: null } as never;
  expect([...stage.destinations.values()].map((destination) => destination.wants(dead))).toEqual([true, true]);
});

test("two gateways that expand the same events make each post once", async () => {
  await using stage = await Stage.open({ chats: chatAt("builds"), texts });
  stage.announcing().announcing().announcing();
  const runs = [await stage.run("failed"), await stage.run("succeeded"), await stage.run("failed")];
  await expanded(stage);
  for (const run_id of runs) expect(await stage.posts(run_id)).toHaveLength(3);
});

test("hides secrets before they are stored, those in links too", async () => {
  await using stage = await Stage.open({ chats: chatAt("builds"), texts });
  stage.announcing();
  await stage.report("41", {
    workflow: `nightly ${jiraToken}`,
    branch: encodeURIComponent(jiraToken),
    run_url: `https://ci.example/?token=${jiraToken}`,
    failing_target: Buffer.from(jiraToken).toString("base64"),
  });
  await expanded(stage);
  const { post } = await stage.store.claim("c", 60_000, ["chat:builds"]);
  const said = JSON.stringify(post);
  expect(said).toContain("nightly ");
  expect(said).not.toContain(jiraToken);
  expect(said).not.toContain(Buffer.from(jiraToken).toString("base64").slice(0, 40));
});

test("goes on when the store was away", async () => {
  await using stage = await Stage.open({ chats: chatAt("builds"), texts });
  let away = 3;
  const { store, destinations, mask } = stage;
  const announcer = startAnnouncer({
    store: {
      ...store,
      events: (limit) => (away-- > 0 ? Promise.reject(new Error("away")) : store.events(limit)),
      stirred: (what, wait) => (away > 0 ? Promise.reject(new Error("away")) : store.stirred(what, wait)),
    },
    destinations,
    mask,
    adminUrl: null,
    sleep: (_ms, signal) => nap(1, signal),
  });
  const run_id = await stage.run("failed");
  await expanded(stage);
  await announcer.stop();
  expect(await stage.posts(run_id)).toHaveLength(3);
});
