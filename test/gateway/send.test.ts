import { expect, test } from "bun:test";
import type { Claimed } from "../../src/stores/store.ts";
import { openMattermost } from "../fakes/mattermost.ts";
import { gate, openRemote, remote } from "../fakes/remote.ts";
import { until } from "../stores/conformance/given.ts";
import { chatAt, Stage } from "./stage.ts";

const open = (hook: string, more = {}, retry = {}) =>
  Stage.open({ chats: chatAt("builds", more), texts: { "builds/hook.url": hook }, retry });
const bodies = (posts: unknown[]) => posts.map((post) => JSON.stringify(post));

test("a run is told in order, once per state", async () => {
  using chat = openMattermost();
  await using stage = await open(chat.url);
  stage.announcing().sending();
  const run_id = await stage.run("succeeded");
  await stage.settled(3);
  expect(bodies(chat.posts).map((post) => /queued|running|succeeded/.exec(post)?.[0])).toEqual([
    "queued",
    "running",
    "succeeded",
  ]);
  expect(chat.faults).toEqual([]);
  expect((await stage.posts(run_id)).map(({ status, tries }) => [status, tries])).toEqual([
    ["sent", 1],
    ["sent", 1],
    ["sent", 1],
  ]);
});

test("two gateways on one store never both post", async () => {
  using chat = openMattermost();
  await using stage = await open(chat.url);
  stage.announcing().announcing();
  stage.sending();
  stage.sending();
  for (const id of ["1", "2", "3", "4", "5", "1", "2"]) await stage.report(id);
  await stage.settled(5);
  await stage.quiet();
  expect(chat.posts).toHaveLength(5);
  expect(new Set(bodies(chat.posts)).size).toBe(5);
});

test("keeps trying while the remote is busy", async () => {
  using chat = openMattermost({ script: [503, 503, 502] });
  await using stage = await open(chat.url);
  stage.announcing().sending();
  await stage.report("1");
  const settled = await stage.settled(4);
  expect(settled.map(({ verdict }) => verdict)).toEqual(["later", "later", "later", "sent"]);
  expect(chat.posts).toHaveLength(1);
  expect(chat.requests).toHaveLength(4);
});

test.each([
  ["2", 2000],
  ["-1", 0],
  ["0", 0],
  ["abc", 0],
  [undefined, 0],
  ["999999", 86_400_000],
])("knocks no sooner than Retry-After %p asks, with any post of that chat", async (said, asked) => {
  const busy = { status: 429, ...(said !== undefined && { headers: { "Retry-After": said } }) };
  using chat = openMattermost({ script: [busy] });
  await using stage = await open(chat.url);
  stage.announcing().sending();
  await stage.report("1");
  await stage.settled(1);
  if (asked > 0) {
    await stage.report("2");
    await stage.later(asked - 1000);
    expect(chat.requests).toHaveLength(1);
    await stage.later(1100);
    await stage.settled(3);
    expect(chat.posts).toHaveLength(2);
  } else {
    await stage.settled(2);
    expect(chat.posts).toHaveLength(1);
  }
});

test("reads Retry-After as a date by the same clock", async () => {
  const when = new Date(Date.now() + 120_000).toUTCString();
  using chat = openMattermost({ script: [{ status: 429, headers: { "Retry-After": when } }] });
  await using stage = await open(chat.url);
  stage.announcing().sending();
  await stage.report("1");
  await stage.settled(1);
  await stage.later(110_000);
  expect(chat.requests).toHaveLength(1);
  await stage.later(11_000);
  await stage.settled(2);
  expect(chat.posts).toHaveLength(1);
});

test("an answer that never came is tried again and marked: at most one post too many", async () => {
  using chat = openMattermost({ script: ["accept-then-reset"] });
  await using stage = await open(chat.url);
  stage.announcing().sending();
  await stage.report("1");
  const [first] = await stage.settled(2);
  expect(first).toMatchObject({ verdict: "later", unsure: true });
  expect(chat.posts).toHaveLength(2);
});

test.each(["reset", "garbage", "truncate"] as const)("survives a remote that answers with %s", async (injected) => {
  using chat = openMattermost({ script: [injected] });
  await using stage = await open(chat.url);
  stage.announcing().sending();
  await stage.report("1");
  expect((await stage.settled(2)).map(({ verdict }) => verdict)).toEqual(["later", "sent"]);
});

test("a connection that was refused is not marked: nothing can have been posted", async () => {
  const closed = remote(200);
  closed.close();
  await using stage = await open(`${closed.url}/hooks/abcdefgh`);
  stage.announcing().sending();
  await stage.report("1");
  expect((await stage.settled(1))[0]).toMatchObject({ verdict: "later", unsure: false });
});

test("does not knock twice on a hook that is unknown", async () => {
  using chat = openMattermost({ deleted: true });
  await using stage = await open(chat.url);
  stage.announcing().sending();
  await stage.report("1");
  const [dead] = await stage.settled(1);
  expect(dead).toMatchObject({ verdict: "dead" });
  expect(dead?.why).toContain("the hook is unknown");
  await stage.later(3_600_000);
  expect(chat.requests).toHaveLength(1);
});

test.each([401, 403, 404, 410, 501])("does not knock twice on a door that said %i", async (status) => {
  using chat = openMattermost({ script: [status] });
  await using stage = await open(chat.url);
  stage.announcing().sending();
  await stage.report("1");
  expect(await stage.settled(1)).toMatchObject([{ verdict: "dead" }]);
  await stage.later(3_600_000);
  expect(chat.requests).toHaveLength(1);
});

test("never follows a redirect", async () => {
  using login = remote({ status: 200, body: "ok" });
  using chat = openMattermost({ script: [{ redirect: `${login.url}/login` }] });
  await using stage = await open(chat.url);
  stage.announcing().sending();
  await stage.report("1");
  expect(await stage.settled(1)).toMatchObject([{ verdict: "dead" }]);
  expect(login.requests).toEqual([]);
});

test("a login page that answers 200 is no success", async () => {
  using chat = openMattermost({ script: [{ status: 200, body: "<!doctype html><title>Sign in</title>" }] });
  await using stage = await open(chat.url);
  stage.announcing().sending();
  await stage.report("1");
  expect(await stage.settled(1)).toMatchObject([{ verdict: "dead" }]);
});

test("a layout that was refused is sent once more as plain text, at once", async () => {
  using chat = openMattermost({ script: [400] });
  await using stage = await open(chat.url);
  stage.announcing().sending();
  await stage.report("1", { state: "failed" });
  expect(await stage.settled(1)).toMatchObject([{ verdict: "sent" }]);
  expect(Object.keys(chat.posts[0] ?? {})).toEqual(["text"]);
  expect(chat.posts[0]?.text).toContain("nightly-1 failed");
});

test("plain text that is refused too is given up after those two", async () => {
  using chat = openMattermost({ script: [400, 400] });
  await using stage = await open(chat.url);
  stage.announcing().sending();
  await stage.report("1");
  expect(await stage.settled(1)).toMatchObject([{ verdict: "dead" }]);
  await stage.later(3_600_000);
  expect(chat.requests).toHaveLength(2);
});

test("what the configuration lists decides", async () => {
  using chat = openMattermost({ script: [403, 500] });
  await using stage = await open(chat.url, {}, { retry_on_status: [403], no_retry_on_status: [500] });
  stage.announcing().sending();
  await stage.report("1");
  expect((await stage.settled(2)).map(({ verdict }) => verdict)).toEqual(["later", "dead"]);
});

test("goes on slowly for a day, then gives up", async () => {
  using chat = remote(503);
  await using stage = await open(`${chat.url}/hooks/abcdefgh`, {}, { max_attempts: 2 });
  stage.announcing().sending();
  await stage.report("1");
  await stage.settled(2);
  expect(stage.settlements[1]).toMatchObject({ verdict: "later", due_in_ms: 60_000 });
  await stage.later(59_000);
  expect(chat.requests).toHaveLength(2);
  await stage.later(1001);
  await stage.settled(3);
  await stage.later(86_400_000);
  const last = (await stage.settled(4)).at(-1);
  expect(last).toMatchObject({ verdict: "dead" });
  expect(last?.why).toStartWith("given up after 4 tries: status 503");
});

test("gives up after the last attempt where the slow lane is off", async () => {
  using chat = remote(503);
  await using stage = await open(`${chat.url}/hooks/abcdefgh`, { retry: { max_attempts: 3, slow_lane: false } });
  stage.announcing().sending();
  await stage.report("1");
  expect((await stage.settled(3)).map(({ verdict }) => verdict)).toEqual(["later", "later", "dead"]);
  expect(chat.requests).toHaveLength(3);
});

test("a later state that was sent replaces an earlier one that failed", async () => {
  using chat = openMattermost({ script: [503] });
  await using stage = await open(
    chat.url,
    { states: ["running", "succeeded"] },
    { base_delay_ms: 60_000, max_delay_ms: 60_000 },
  );
  stage.announcing().sending();
  const run_id = await stage.run("succeeded");
  await stage.settled(2);
  await stage.later(3_600_000);
  expect((await stage.posts(run_id)).map(({ state, status }) => [state, status])).toEqual([
    ["running", "replaced"],
    ["succeeded", "sent"],
  ]);
  expect(bodies(chat.posts).filter((post) => post.includes("running"))).toEqual([]);
});

test("uses a secret's new value from the next try on", async () => {
  const texts: Record<string, string> = {};
  using old = openMattermost({ script: [503, 503, 503, 503] });
  using fresh = openMattermost();
  texts["builds/hook.url"] = old.url;
  await using stage = await Stage.open({ chats: chatAt("builds"), texts });
  stage.announcing().sending();
  await stage.report("1");
  await stage.settled(1);
  texts["builds/hook.url"] = fresh.url;
  await until(async () => fresh.posts.length === 1);
  expect(old.posts).toEqual([]);
});

test("one slow destination holds no other", async () => {
  const slow = gate();
  using stuck = openMattermost({ script: Array.from({ length: 9 }, () => ({ gate: slow })) });
  using quick = openMattermost();
  await using stage = await Stage.open({
    chats: { ...chatAt("stuck"), ...chatAt("quick") },
    texts: { "stuck/hook.url": stuck.url, "quick/hook.url": quick.url },
  });
  const sender = stage.announcing().sending({ atOnce: { each: 2, all: 512 } });
  for (let id = 0; id < 20; id++) await stage.report(String(id));
  await stage.settled(20);
  expect(quick.posts).toHaveLength(20);
  expect([stuck.requests.length, sender.underWay()]).toEqual([2, 2]);
  slow.open();
  await stage.settled(40);
  expect(stuck.posts).toHaveLength(20);
});

test("keeps to a destination's rate, and lets the others be", async () => {
  using limited = openMattermost();
  using free = openMattermost();
  await using stage = await Stage.open({
    chats: { ...chatAt("limited", { rate: "2/m" }), ...chatAt("free") },
    texts: { "limited/hook.url": limited.url, "free/hook.url": free.url },
  });
  stage.announcing().sending();
  for (let id = 0; id < 5; id++) await stage.report(String(id));
  await stage.settled(7);
  await stage.quiet();
  expect([limited.posts.length, free.posts.length]).toEqual([2, 5]);
  await stage.later(30_001);
  await stage.settled(8);
  await stage.quiet();
  expect(limited.posts).toHaveLength(3);
});

test("waits for what is being sent before it stops, and claims nothing more", async () => {
  const slow = gate();
  using chat = openMattermost({ script: [{ gate: slow }, { gate: slow }] });
  await using stage = await open(chat.url);
  const sender = stage.announcing().sending({ sleep: undefined as never, atOnce: { each: 2, all: 512 } });
  for (const id of ["1", "2", "3"]) await stage.report(id);
  await chat.arrived(2);
  const stopped = sender.stop();
  slow.open();
  await stopped;
  expect(stage.settlements.map(({ verdict }) => verdict)).toEqual(["sent", "sent"]);
  expect([chat.requests.length, sender.underWay()]).toEqual([2, 0]);
});

test("goes on when the store was away, and writes down what it sent", async () => {
  using chat = openMattermost();
  await using stage = await open(chat.url);
  let away = 4;
  const { store } = stage;
  stage.announcing().sending({
    store: {
      stirred: store.stirred,
      claim: (...asked) => (away-- > 2 ? Promise.reject(new Error("away")) : store.claim(...asked)),
      settle: (settlement) => (away-- > 0 ? Promise.reject(new Error("away")) : store.settle(settlement)),
    },
  });
  await stage.report("1");
  await stage.settled(1);
  expect(chat.posts).toHaveLength(1);
});

test("prints the console's posts", async () => {
  await using stage = await Stage.open({ chats: { me: { kind: "console" } } });
  stage.announcing().sending();
  await stage.report("1", { state: "failed", failing_target: "lint\u001B[31m\n@all" });
  await stage.settled(1);
  expect(stage.printed).toEqual(["❌ nightly-1 failed · main · lint @all"]);
});

test("a hook over plain http to another machine is refused, not tried, not sent", async () => {
  await using stage = await open("http://chat.acme.example/hooks/abcdefghijklmnopqrstuvwxyz");
  stage.announcing().sending();
  await stage.report("1");
  const [dead] = await stage.settled(1);
  expect(dead?.verdict).toBe("dead");
  expect(dead?.why).toContain("plain http");
  expect(dead?.why).not.toContain("abcdefgh");
});

test("an adapter that fails is a dead post, not a stopped sender", async () => {
  using chat = openMattermost();
  await using stage = await open(chat.url);
  const builds = stage.destinations.get("chat:builds");
  if (!builds) throw new Error("no such destination");
  const { post } = builds;
  builds.post = (claimed: Claimed, given) => {
    if (claimed.subject === "github/1") throw new TypeError("cannot describe");
    return post(claimed, given);
  };
  stage.announcing().sending();
  await stage.report("1");
  await stage.report("2");
  const settled = await stage.settled(2);
  expect(settled.map(({ verdict }) => verdict).toSorted()).toEqual(["dead", "sent"]);
});

test("a mention in a stranger's text reaches the chat as a text", async () => {
  using chat = openMattermost();
  await using stage = await open(chat.url);
  stage.announcing().sending();
  await stage.report("1", {
    state: "failed",
    branch: "`@all`",
    failing_target: `<!channel> @here ${"x".repeat(20_000)}`,
  });
  await stage.settled(1);
  expect(chat.faults).toEqual([]);
  expect(JSON.stringify(chat.posts)).not.toMatch(/@(all|here|channel)|<!/);
});

test("asks a proxy where one is named", async () => {
  using chat = openMattermost();
  using proxy = openRemote();
  await using stage = await open(chat.url, { proxy: proxy.url });
  stage.announcing().sending();
  await stage.report("1");
  expect(await stage.settled(1)).toMatchObject([{ verdict: "sent" }]);
  expect(proxy.requests[0]?.path).toBe(chat.url);
  expect(chat.requests).toEqual([]);
});
