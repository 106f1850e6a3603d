import { expect, test } from "bun:test";
import { answerReadiness } from "../../src/gateway/health-answers.ts";
import { Health } from "../../src/gateway/health.ts";
import { redactLog } from "../../src/log.ts";
import type { DestinationRow } from "../../src/stores/store.ts";
import { openMattermost } from "../fakes/mattermost.ts";
import { gate, remote } from "../fakes/remote.ts";
import { openJira } from "../fakes/tracker.ts";
import { until } from "../stores/conformance/given.ts";
import { chatAt, jiraAt, jiraToken, Stage } from "./stage.ts";

const minute = 60_000;

const open = (hook: string, retry = {}) =>
  Stage.open({ chats: chatAt("builds"), texts: { "builds/hook.url": hook }, retry });

async function rowOf(stage: Stage, name = "chat:builds"): Promise<DestinationRow | undefined> {
  return (await stage.store.destinations()).find((row) => row.name === name);
}

/** Hands in so many reports, and waits until their posts are made. */
async function reports(stage: Stage, count: number): Promise<void> {
  const ids = await Promise.all(Array.from({ length: count }, (_, n) => stage.report(`r${n}`)));
  await until(async () => (await Promise.all(ids.map((id) => stage.store.posts(id)))).every((posts) => posts?.length));
}

test.each([401, 403, 404, 410])("a %i keeps every later post back, until one is let through to see", async (status) => {
  using chat = openMattermost({ script: [status, status] });
  await using stage = await open(chat.url);
  stage.announcing().sending();
  await stage.report("1");
  await stage.settled(1);
  await reports(stage, 5);
  await stage.later(10 * minute - 1000);
  expect(chat.requests).toHaveLength(1);
  expect(await rowOf(stage)).toMatchObject({ circuit: "open", cause: "config", waiting: 5, failures: 1 });
  expect((await rowOf(stage))?.why).toContain(`status ${status}`);
  await stage.later(1001);
  expect(chat.requests).toHaveLength(2);
  await stage.later(10 * minute);
  // The two that were refused are told as well: they are news still.
  await stage.settled(8);
  expect(chat.posts).toHaveLength(6);
  expect(stage.settlements.filter(({ verdict }) => verdict === "dead")).toHaveLength(2);
  expect(await rowOf(stage)).toBeUndefined();
});

test("the post that met it keeps status, code and body", async () => {
  using chat = openMattermost({ deleted: true });
  await using stage = await Stage.open({ chats: chatAt("builds"), texts: { "builds/hook.url": chat.url } });
  stage.announcing().sending();
  const subject = await stage.report("1");
  await stage.settled(1);
  const [post] = (await stage.store.posts(subject)) ?? [];
  expect(post).toMatchObject({ status: "dead", tries: 1 });
  expect(post?.why).toMatch(/^status 400, web\.incoming_webhook\S* .*: \{"id":"web\.incoming_webhook/);
});

test("a post that failed in all its quick tries stops everything for 30 s, then twice as long, and one post at a time asks", async () => {
  using chat = remote(...Array.from({ length: 4 }, () => 503), { status: 200, body: "ok" });
  await using stage = await open(`${chat.url}/hooks/abcdefgh`, { max_attempts: 2, base_delay_ms: 1 });
  stage.announcing().sending();
  await stage.report("first");
  await until(async () => {
    stage.skip(2);
    return (await rowOf(stage))?.circuit === "open";
  });
  expect(chat.requests).toHaveLength(2);
  await reports(stage, 5);
  await stage.later(29_000);
  expect(chat.requests).toHaveLength(2);
  await stage.later(1001);
  expect(chat.requests).toHaveLength(3);
  await stage.later(59_000);
  expect(chat.requests).toHaveLength(3);
  await until(async () => {
    await stage.later(minute);
    return (await rowOf(stage)) === undefined;
  });
  expect(stage.settlements.filter(({ verdict }) => verdict === "sent")).toHaveLength(6);
});

test("the log says once that failures opened a circuit, and once that it closed: who, host and last four characters, why", async () => {
  const lines: string[] = [];
  redactLog((line) => {
    lines.push(line);
    return line;
  });
  const refusing = remote({ status: 403, body: "no" });
  using chat = remote(503, 503, 503, { status: 200, body: "ok" });
  await using stage = await Stage.open({
    chats: { ...chatAt("builds"), ...chatAt("refused") },
    texts: { "builds/hook.url": `${chat.url}/hooks/abcdefgh`, "refused/hook.url": `${refusing.url}/hooks/stuvwxyz` },
    retry: { max_attempts: 2, base_delay_ms: 1 },
  });
  stage.announcing().sending();
  await reports(stage, 2);
  // In steps that outlast no claim: a try that is settled too late turns no circuit.
  const walk = (ms: number, over: (row: DestinationRow | undefined) => boolean) =>
    until(async () => {
      await stage.later(ms);
      return over(await rowOf(stage));
    });
  await walk(2, (row) => row?.circuit === "open");
  await walk(5000, (row) => row === undefined);
  refusing.close();
  redactLog((line) => line);
  const said = lines
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ msg }) => String(msg).startsWith("circuit"))
    .map(({ time: _time, ...line }) => line);
  const about = { destination: "chat:builds", to: `127.0.0.1:${chat.port} …efgh` };
  expect(said).toEqual([
    { level: "warn", msg: "circuit opened", ...about, why: "status 503" },
    { level: "info", msg: "circuit closed", ...about },
  ]);
});

test("a hiccup is the retry template's: every quick try is made, and no circuit opens", async () => {
  using chat = openMattermost({ script: [503, 503, 503, 503, 503] });
  await using stage = await open(chat.url, { base_delay_ms: 1 });
  stage.announcing().sending();
  await stage.report("1");
  for (let n = 1; n <= 5; n++) {
    await stage.settled(n);
    expect(await rowOf(stage)).toMatchObject({ circuit: "closed" });
    stage.skip(50);
  }
  expect((await stage.settled(6)).at(-1)).toMatchObject({ verdict: "sent" });
});

test("Retry-After is a pause and no failure, however often it comes", async () => {
  const busy = { status: 429, headers: { "Retry-After": "1" } };
  using chat = openMattermost({ script: Array.from({ length: 8 }, () => busy) });
  await using stage = await open(chat.url, { max_attempts: 20 });
  stage.announcing().sending();
  await stage.report("1");
  for (let n = 1; n <= 8; n++) {
    await stage.settled(n);
    expect(await rowOf(stage)).toMatchObject({ circuit: "closed", failures: 0 });
    stage.skip(1001);
  }
  expect((await stage.settled(9)).at(-1)).toMatchObject({ verdict: "sent" });
});

test("one that stays closed holds no other", async () => {
  using gone = openMattermost({ deleted: true });
  using fine = openMattermost();
  await using stage = await Stage.open({
    chats: { ...chatAt("gone"), ...chatAt("fine") },
    texts: { "gone/hook.url": gone.url, "fine/hook.url": fine.url },
  });
  stage.announcing().sending();
  await reports(stage, 10);
  await until(async () => fine.posts.length === 10);
  await stage.quiet();
  expect((await stage.store.destinations()).map(({ name }) => name)).toEqual(["chat:gone"]);
});

test("a new secret is tried at once, with what the old one was refused", async () => {
  using old = openMattermost({ script: [403] });
  using fresh = openMattermost();
  const texts: Record<string, string> = { "builds/hook.url": old.url };
  await using stage = await Stage.open({ chats: chatAt("builds"), texts });
  stage.announcing().sending();
  await stage.report("1");
  await stage.settled(1);
  await reports(stage, 3);
  await stage.later(5001);
  expect(old.requests).toHaveLength(1);
  texts["builds/hook.url"] = fresh.url;
  await stage.later(5001);
  await stage.settled(5);
  expect(fresh.posts).toHaveLength(4);
});

test("a restart with the same options and secrets knocks no sooner", async () => {
  using chat = openMattermost({ script: [403] });
  await using stage = await open(chat.url);
  const first = stage.announcing().sending();
  await stage.report("1");
  await stage.settled(1);
  await reports(stage, 2);
  await first.stop();
  const second = stage.sending();
  await stage.later(6000);
  expect([chat.requests.length, second.underWay()]).toEqual([1, 0]);
});

test("a gateway that dies while it probes leaves the probe to the next", async () => {
  const never = gate();
  using chat = openMattermost({ script: [404, { gate: never }] });
  await using stage = await open(chat.url);
  stage.announcing();
  const first = stage.sending();
  await stage.report("1");
  await stage.settled(1);
  await reports(stage, 2);
  stage.skip(10 * minute);
  await chat.arrived(2);
  void first.stop();
  stage.sending();
  stage.skip(15_001);
  await until(async () => chat.posts.length === 3);
  never.open();
});

test("an issue that is gone closes no tracker; a token that is refused does", async () => {
  using jira = openJira({ script: [404, 404, 404, 401] });
  await using stage = await Stage.open({ sources: jiraAt(jira.url), texts: { "jira/rest.token": jiraToken } });
  stage.announcing().sending();
  for (let n = 1; n <= 3; n++) {
    await stage.run("failed", `MOB-${n}`);
    await stage.settled(n);
  }
  expect(await rowOf(stage, "comment:jira")).toBeUndefined();
  await stage.run("failed", "MOB-4");
  await stage.settled(4);
  expect(await rowOf(stage, "comment:jira")).toMatchObject({ circuit: "open", cause: "config" });
});

test("what waits at a closed destination for a day is given up", async () => {
  using chat = remote(404, 503);
  await using stage = await open(`${chat.url}/hooks/abcdefgh`);
  stage.announcing().sending();
  await stage.report("1");
  await stage.settled(1);
  await reports(stage, 4);
  await stage.later(25 * 60 * minute);
  await until(async () => (await rowOf(stage))?.waiting === 0);
  expect(chat.requests).toHaveLength(2);
  const given = (await Promise.all([0, 1, 2, 3].map((n) => stage.store.posts(`github/r${n}`)))).flatMap(
    (posts) => posts ?? [],
  );
  expect(given.map(({ status }) => status)).toEqual(["dead", "dead", "dead", "dead"]);
  expect(given.every(({ why }) => why?.startsWith("given up"))).toBe(true);
});

test("readiness names it, and is ready all the same", async () => {
  using chat = openMattermost({ script: [404] });
  await using stage = await open(chat.url);
  stage.announcing().sending();
  await stage.report("1");
  await stage.settled(1);
  const health = new Health(stage.store);
  const answer = await answerReadiness(
    health,
    { node: "mac-07", notes: ["a page"], store: stage.store, mask: (text) => text },
    "c-1",
  );
  const body = await answer.json();
  expect(answer.status).toBe(200);
  expect(body).toMatchObject({
    state: "ready",
    failing: [],
    notes: ["a page", expect.stringContaining("chat:builds")],
  });
});
