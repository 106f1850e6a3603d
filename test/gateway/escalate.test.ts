import { describe, expect, test } from "bun:test";
import { configSchema } from "../../src/config.ts";
import { secretsOf } from "../../src/config/named.ts";
import type { JsonObject } from "../../src/core/json.ts";
import { type Escalation, type Plan, startEscalation } from "../../src/gateway/escalate.ts";
import { pagersFrom } from "../../src/gateway/escalate-pagers.ts";
import { nap } from "../../src/gateway/stir.ts";
import { redactLog } from "../../src/log.ts";
import { openRedis } from "../../src/stores/redis.ts";
import type { Store } from "../../src/stores/store.ts";
import { openPagerduty } from "../fakes/pagerduty.ts";
import { startRedis } from "../fakes/redis-server.ts";
import { openRemote, type Remote } from "../fakes/remote.ts";
import { openJira } from "../fakes/tracker.ts";
import { openWebhook } from "../fakes/webhook.ts";
import {
  askOf,
  expandAll,
  heldOf,
  laneOf,
  leased,
  leaseOf,
  minute,
  queue,
  resultOf,
  rulesOf,
  until,
} from "../stores/conformance/given.ts";
import { chatAt, jiraAt, jiraToken, Stage, type Texts } from "./stage.ts";

const routingKey = "0123456789abcdef0123456789abcdef";
const texts: Texts = { "pagerduty/routing.key": routingKey };
const oncall = (base_url: string): JsonObject => ({
  oncall: { kind: "pagerduty", key: "pagerduty/routing.key", base_url },
});

interface Wishes {
  pagers?: JsonObject;
  chats?: JsonObject;
  texts?: Texts;
  escalate_after?: string;
  retry?: JsonObject;
  standby?: boolean;
  /** Values of before, by key id. */
  earlier?: Texts;
}

const keyIdOf = (text: string): string => Bun.SHA256.hash(text, "hex").slice(0, 8);

/** What a configuration says of paging. */
function planOf(known: string[], wishes: Wishes): Plan {
  const { pagers = {}, chats = {}, escalate_after = "10m", retry = {} } = wishes;
  const config = configSchema().parse({
    pool: "acme-ios",
    pagers,
    chats,
    escalate_after,
    retry: { base_delay_ms: 10, max_delay_ms: 40, max_attempts: 3, ...retry },
    node: { id: "mac-07" },
  });
  const all = wishes.texts ?? texts;
  for (const { secret } of secretsOf(config)) secret.bind(() => all[secret.name] ?? "");
  return {
    config,
    pagers: pagersFrom(
      config,
      (name) => keyIdOf(all[name] ?? ""),
      (_, keyId) => wishes.earlier?.[keyId] ?? null,
    ),
    destinations: new Map(known.map((name) => [name, null])),
    adminUrl: "https://builds.acme.internal",
  };
}

/** Escalates on a stage's store and clock; a wait is a short one, after which the loop looks at that clock again. */
function escalating(stage: Pick<Stage, "store" | "now" | "mask">, known: string[], wishes: Wishes = {}): Watch {
  const printed: string[] = [];
  const escalation = startEscalation({
    store: stage.store,
    ...planOf(known, wishes),
    standby: wishes.standby ?? false,
    mask: stage.mask,
    print: (line) => void printed.push(line),
    now: stage.now,
    sleep: (ms, signal) => nap(Math.min(ms, 3), signal),
    chance: () => 0,
  });
  return Object.assign(escalation, {
    printed,
    /** Resolves when it has looked afresh, sent what that found, and looked again. */
    async quiet() {
      const enough = escalation.looks() + 3;
      await until(async () => escalation.looks() >= enough && escalation.underWay() === 0);
    },
    [Symbol.asyncDispose]: () => escalation.stop(),
  });
}

interface Watch extends Escalation, AsyncDisposable {
  printed: string[];
  quiet(): Promise<void>;
}

/** A chat's server that answers what the test says. */
function chatServer(): Remote & { say: { status: number; body?: string } } {
  const say: { status: number; body?: string } = { status: 200, body: "ok" };
  return Object.assign(openRemote({ service: () => ({ ...say }) }), { say });
}

const up = { status: 200, body: "ok" };
const down = { status: 503, body: "" };
const ended = { states: ["failed", "succeeded"] };

/** A stage with one chat, on which announcements are made and sent. */
async function withChat(server: Remote, more: { sources?: JsonObject; texts?: Texts } = {}): Promise<Stage> {
  const stage = await Stage.open({
    chats: chatAt("builds", ended),
    texts: { "builds/hook.url": `${server.url}/hooks/abc123`, ...more.texts },
    ...(more.sources && { sources: more.sources }),
  });
  stage.announcing().sending();
  return stage;
}

/** Resolves when so many failed states wait to be heard. */
const owed = (stage: Stage, count: number) => until(async () => (await stage.store.unheard(0, 10)).length === count);

/** Takes one run to its death. */
async function deadRun(store: Store): Promise<string> {
  await store.publish(rulesOf({ lanes: { ios: laneOf({ max_lost: 1 }) }, lease: leaseOf(0) }));
  const { run_id } = await queue(store, { source: "jira" });
  await leased(store);
  await until(async () => (await store.reap()) > 0);
  return run_id;
}

describe("a state that nobody heard", () => {
  test("pages after its time, once, and is taken back when somebody hears", async () => {
    using server = chatServer();
    using pager = openPagerduty();
    await using stage = await withChat(server);
    await using watch = escalating(stage, ["chat:builds"], { pagers: oncall(pager.base_url) });
    Object.assign(server.say, down);
    const run_id = await stage.run("failed");
    await owed(stage, 1);
    await stage.later(9 * minute);
    await watch.quiet();
    expect(pager.incidents).toEqual([]);

    await stage.later(2 * minute);
    await pager.arrived(1);
    await stage.later(10 * minute);
    await watch.quiet();
    expect(pager.incidents).toMatchObject([
      {
        status: "triggered",
        triggers: 1,
        dedup_key: "meshmac:acme-ios:unheard/chat:builds",
        payload: { severity: "critical", source: "mac-07", summary: expect.stringContaining("MOB-12 failed") },
      },
    ]);
    expect(JSON.stringify(pager.events[0])).toContain(run_id);

    Object.assign(server.say, up);
    await stage.later(20 * minute);
    await until(async () => pager.incidents[0]?.status === "resolved");
    await watch.quiet();
    expect(pager.events).toHaveLength(2);
    expect(pager.faults).toEqual([]);
    expect(pager.dropped).toEqual([]);
  });

  test("pages once for an outage, however many builds it swallows", async () => {
    using server = chatServer();
    using pager = openPagerduty();
    await using stage = await withChat(server);
    await using watch = escalating(stage, ["chat:builds"], { pagers: oncall(pager.base_url) });
    Object.assign(server.say, down);
    for (const key of ["MOB-1", "MOB-2", "MOB-3"]) await stage.run("failed", key);
    await owed(stage, 3);
    await stage.later(11 * minute);
    await pager.arrived(1);
    await stage.run("failed", "MOB-4");
    await owed(stage, 4);
    await stage.later(11 * minute);
    await watch.quiet();
    expect(pager.incidents).toMatchObject([{ triggers: 1, payload: { summary: expect.stringContaining("2 more") } }]);
  });

  test("pages nobody where the tracker took what the chat did not", async () => {
    using server = chatServer();
    using tracker = openJira();
    using pager = openPagerduty();
    await using stage = await withChat(server, {
      sources: jiraAt(tracker.url),
      texts: { "jira/rest.token": jiraToken },
    });
    await using watch = escalating(stage, ["chat:builds", "comment:jira"], { pagers: oncall(pager.base_url) });
    Object.assign(server.say, down);
    await stage.run("failed");
    await until(async () => stage.settlements.some(({ verdict }) => verdict === "sent"));
    await stage.later(11 * minute);
    await watch.quiet();
    expect(tracker.comments).toHaveLength(1);
    expect(pager.events).toEqual([]);
  });

  test("gives what fell overdue while no gateway ran a moment to be sent", async () => {
    using server = chatServer();
    using pager = openPagerduty();
    await using stage = await Stage.open({
      chats: chatAt("builds", ended),
      texts: { "builds/hook.url": `${server.url}/hooks/abc123` },
    });
    stage.announcing();
    await stage.run("failed");
    await owed(stage, 1);
    stage.skip(20 * minute);
    await using watch = escalating(stage, ["chat:builds"], { pagers: oncall(pager.base_url) });
    await watch.quiet();
    expect(pager.events).toEqual([]);
    stage.skip(minute);
    await pager.arrived(1);
    expect(pager.incidents[0]?.dedup_key).toContain(":unheard/");
  });

  test("stays paged when it was given up, until its destination is well again, and pages anew for the next one", async () => {
    using server = chatServer();
    using pager = openPagerduty();
    await using stage = await withChat(server);
    await using watch = escalating(stage, ["chat:builds"], { pagers: oncall(pager.base_url) });
    // Refused for what it says: the destination is well.
    Object.assign(server.say, { status: 400, body: "" });
    await stage.run("failed", "MOB-1");
    await stage.settled(1);
    Object.assign(server.say, up);
    await stage.later(11 * minute);
    await pager.arrived(1);
    await stage.run("succeeded", "MOB-2");
    await stage.later(25 * minute);
    await until(async () =>
      pager.incidents.some(({ dedup_key, status }) => unheard(dedup_key) && status === "resolved"),
    );
    await stage.later(25 * minute);
    await watch.quiet();
    const opened = () => pager.incidents.filter(({ dedup_key }) => unheard(dedup_key)).length;
    expect(opened()).toBe(1);

    Object.assign(server.say, down);
    await stage.run("failed", "MOB-3");
    await owed(stage, 2);
    await stage.later(11 * minute);
    await until(async () => opened() === 2);
    await watch.quiet();
    expect(opened()).toBe(2);
  });
});

const unheard = (dedup_key: string): boolean => dedup_key.includes(":unheard/");

test("pages a destination that refuses us, once, with the reason, and takes it back when it takes posts again", async () => {
  using server = chatServer();
  using pager = openPagerduty();
  await using stage = await withChat(server);
  await using watch = escalating(stage, ["chat:builds"], { pagers: oncall(pager.base_url) });
  Object.assign(server.say, { status: 403, body: "hook disabled" });
  await stage.run("failed");
  await pager.arrived(1);
  await stage.run("failed", "MOB-13");
  await stage.later(minute);
  await watch.quiet();
  expect(pager.incidents).toMatchObject([
    {
      triggers: 1,
      dedup_key: "meshmac:acme-ios:destination/chat:builds/config",
      payload: { component: "chat:builds", summary: expect.stringContaining("status 403: hook disabled") },
    },
  ]);
  Object.assign(server.say, up);
  await stage.later(30 * minute);
  await stage.run("failed", "MOB-14");
  await stage.later(30 * minute);
  await until(async () => pager.incidents[0]?.status === "resolved");
});

describe("a dead run", () => {
  test("pages once, with how to build it again, and is left to people", async () => {
    using server = chatServer();
    using pager = openPagerduty();
    await using stage = await withChat(server);
    await using watch = escalating(stage, ["chat:builds"], { pagers: oncall(pager.base_url) });
    const run_id = await deadRun(stage.store);
    await Promise.all([pager.arrived(1), stage.settled(1)]);
    await stage.later(11 * minute);
    await watch.quiet();
    await stage.later(25 * 60 * minute);
    await watch.quiet();
    expect(pager.events).toMatchObject([
      {
        dedup_key: `meshmac:acme-ios:run/${run_id}`,
        payload: { summary: "MOB-12 is dead: lost 1 time" },
        links: [{ href: `https://builds.acme.internal/runs/${run_id}` }],
      },
    ]);
    expect(JSON.stringify(pager.events)).toContain(`meshmac runs retry ${run_id.slice(-8)}`);
  });

  test("that somebody has dropped pages nobody, and an open alert of one is over", async () => {
    using server = chatServer();
    using pager = openPagerduty();
    await using stage = await withChat(server);
    const early = await deadRun(stage.store);
    await stage.store.drop(early);
    await using watch = escalating(stage, ["chat:builds"], { pagers: oncall(pager.base_url) });
    const late = await deadRun(stage.store);
    await pager.arrived(1);
    expect(pager.events).toMatchObject([{ dedup_key: `meshmac:acme-ios:run/${late}` }]);
    await stage.store.drop(late);
    await stage.later(2 * minute);
    await until(async () => (await stage.store.alerts()).every(({ key, open }) => !key.startsWith("run/") || !open));
    await watch.quiet();
    expect(pager.events).toHaveLength(1);
  });

  test("reaches people by every pager there is, each once", async () => {
    using server = chatServer();
    using alarms = chatServer();
    using pager = openPagerduty();
    using receiver = openWebhook();
    await using stage = await withChat(server);
    await using watch = escalating(stage, ["chat:builds"], {
      pagers: {
        ...oncall(pager.base_url),
        hook: { kind: "webhook", url: "hook/page.url", key: "hook/signing.key" },
        alarms: { kind: "chat", chat: "alarms" },
        terminal: { kind: "chat", chat: "terminal" },
      },
      chats: { ...chatAt("alarms"), terminal: { kind: "console" } },
      texts: {
        ...texts,
        "hook/page.url": receiver.url,
        "hook/signing.key": receiver.key,
        "alarms/hook.url": `${alarms.url}/hooks/def456`,
      },
    });
    await deadRun(stage.store);
    await Promise.all([pager.arrived(1), receiver.arrived(1), alarms.arrived(1)]);
    await until(async () => watch.printed.length > 0);
    await watch.quiet();
    expect(pager.incidents).toHaveLength(1);
    expect(receiver.posts).toMatchObject([{ type: "alert.opened", data: { about: "MOB-12", severity: "error" } }]);
    expect(receiver.faults).toEqual([]);
    expect(alarms.requests).toHaveLength(1);
    expect(alarms.requests[0]?.text).toContain("MOB-12 is dead: lost 1 time");
    expect(watch.printed).toHaveLength(1);
  });

  test("is only logged where there is no pager, once", async () => {
    const lines: string[] = [];
    redactLog((line) => {
      lines.push(line);
      return line;
    });
    using server = chatServer();
    await using stage = await withChat(server);
    await using watch = escalating(stage, ["chat:builds"]);
    const run_id = await deadRun(stage.store);
    const said = () => lines.filter((line) => line.includes("page had no pager") && line.includes(run_id));
    await until(async () => said().length > 0);
    await watch.quiet();
    expect(said()).toHaveLength(1);
    expect(watch.notes()).toEqual([]);
    redactLog((line) => line);
  });
});

describe("a page", () => {
  test("that fails is tried within bounds, noted, and tried again later until it is sent", async () => {
    using server = chatServer();
    using pager = openPagerduty({ script: [503, "reset", 503] });
    await using stage = await withChat(server);
    await using watch = escalating(stage, ["chat:builds"], {
      pagers: oncall(pager.base_url),
      retry: { max_attempts: 3 },
    });
    await deadRun(stage.store);
    // The pager's own policy waits long between tries; the clock is the test's.
    await until(async () => {
      stage.skip(500);
      return watch.notes().length > 0;
    });
    expect(pager.requests).toHaveLength(3);
    expect(watch.notes()).toEqual([expect.stringMatching(/^page failed: oncall: MOB-12 is dead.*status 503/)]);
    await watch.quiet();
    expect(pager.requests).toHaveLength(3);
    stage.skip(6 * minute);
    await pager.arrived(4);
    await until(async () => watch.notes().length === 0);
    expect(pager.incidents).toMatchObject([{ triggers: 1 }]);
  });

  test("that is refused is not tried twice in a row", async () => {
    using server = chatServer();
    using pager = openPagerduty({ after: { status: 403, body: "no" } });
    await using stage = await withChat(server);
    await using watch = escalating(stage, ["chat:builds"], { pagers: oncall(pager.base_url) });
    await deadRun(stage.store);
    await until(async () => watch.notes().length > 0);
    await watch.quiet();
    expect(pager.requests).toHaveLength(1);
    expect(JSON.stringify(watch.notes())).not.toContain(routingKey);
  });

  test("goes out by the pager of another configuration, where that of before could not send it", async () => {
    using server = chatServer();
    using wrong = openPagerduty({ after: { status: 403, body: "no" } });
    using right = openPagerduty();
    await using stage = await withChat(server);
    await using watch = escalating(stage, ["chat:builds"], { pagers: oncall(wrong.base_url) });
    await deadRun(stage.store);
    await until(async () => watch.notes().length > 0);
    watch.use(planOf(["chat:builds"], { pagers: oncall(right.base_url) }));
    expect(watch.notes()).toEqual([]);
    await watch.quiet();
    stage.skip(6 * minute);
    await right.arrived(1);
    await watch.quiet();
    expect([wrong.requests.length, right.incidents.length]).toEqual([1, 1]);
  });

  test("that failed stays told where a reload changed nothing of its pager; another value of its secret ends that", async () => {
    const keys = { ...texts };
    using server = chatServer();
    using pager = openPagerduty({ after: { status: 403, body: "no" } });
    await using stage = await withChat(server);
    const wishes = { pagers: oncall(pager.base_url), texts: keys };
    await using watch = escalating(stage, ["chat:builds"], wishes);
    await deadRun(stage.store);
    await until(async () => watch.notes().length > 0);
    const [note = ""] = watch.notes();
    watch.use(planOf(["chat:builds", "chat:team"], { ...wishes, escalate_after: "20m" }));
    expect(watch.notes()).toEqual([note]);
    watch.use(
      planOf(["chat:builds"], {
        ...wishes,
        pagers: { ...oncall(pager.base_url), second: oncall("https://pager.example").oncall ?? {} },
      }),
    );
    expect(watch.notes()).toContain(note);
    keys["pagerduty/routing.key"] = "f".repeat(32);
    watch.use(planOf(["chat:builds"], wishes));
    expect(watch.notes()).toEqual([]);
  });

  test("outlives the gateway that could not send it", async () => {
    using server = chatServer();
    using pager = openPagerduty({ script: [503, 503, 503] });
    await using stage = await withChat(server);
    const first = escalating(stage, ["chat:builds"], { pagers: oncall(pager.base_url) });
    await deadRun(stage.store);
    await until(async () => first.notes().length > 0);
    await first.stop();
    stage.skip(1);
    await using second = escalating(stage, ["chat:builds"], { pagers: oncall(pager.base_url) });
    await pager.arrived(4);
    await second.quiet();
    expect(pager.incidents).toMatchObject([{ triggers: 1 }]);
  });

  test("is resolved with the key that opened it, while that one is still known", async () => {
    const keys = { ...texts };
    using server = chatServer();
    using pager = openPagerduty();
    await using stage = await withChat(server);
    await using watch = escalating(stage, ["chat:builds"], {
      pagers: oncall(pager.base_url),
      texts: keys,
      earlier: { [keyIdOf(routingKey)]: routingKey },
      escalate_after: "5h",
    });
    Object.assign(server.say, { status: 403, body: "" });
    await stage.run("failed");
    await pager.arrived(1);
    await watch.quiet();
    keys["pagerduty/routing.key"] = "f".repeat(32);
    Object.assign(server.say, up);
    await stage.later(30 * minute);
    await stage.run("failed", "MOB-13");
    await stage.later(30 * minute);
    await until(async () => pager.events.some(({ event_action }) => event_action === "resolve"));
    await watch.quiet();
    expect(pager.incidents).toMatchObject([{ status: "resolved" }]);
    expect(pager.dropped).toEqual([]);
  });

  test("is resolved with the key of today, and said to be where another one opened it", async () => {
    const lines: string[] = [];
    redactLog((line) => {
      lines.push(line);
      return line;
    });
    const keys = { ...texts };
    using server = chatServer();
    using pager = openPagerduty();
    await using stage = await withChat(server);
    await using watch = escalating(stage, ["chat:builds"], {
      pagers: oncall(pager.base_url),
      texts: keys,
      escalate_after: "5h",
    });
    Object.assign(server.say, { status: 403, body: "" });
    await stage.run("failed");
    await pager.arrived(1);
    await watch.quiet();
    keys["pagerduty/routing.key"] = "f".repeat(32);
    Object.assign(server.say, up);
    await stage.later(30 * minute);
    await stage.run("failed", "MOB-13");
    await stage.later(30 * minute);
    await until(async () => pager.events.some(({ event_action }) => event_action === "resolve"));
    await watch.quiet();
    expect(pager.dropped).toEqual(["meshmac:acme-ios:destination/chat:builds/config"]);
    expect(lines.filter((line) => line.includes("page resolved with another key"))).toHaveLength(1);
    expect(lines.join("\n")).not.toContain(routingKey);
    redactLog((line) => line);
  });
});

const standing = (stage: Stage, base_url: string): Watch =>
  escalating(stage, ["chat:builds"], { pagers: oncall(base_url), standby: true });

describe("a standby", () => {
  test("pages nothing while a gateway that sends is alive, however much waits there", async () => {
    using server = chatServer();
    using pager = openPagerduty();
    await using stage = await withChat(server);
    Object.assign(server.say, { status: 403, body: "" });
    await stage.run("failed");
    await owed(stage, 1);
    await deadRun(stage.store);
    await stage.later(11 * minute);
    await stage.store.beat("mac-08/2", { sends: true });
    await using watch = standing(stage, pager.base_url);
    await watch.quiet();
    expect([await stage.store.alerts(), pager.requests.length]).toEqual([[], 0]);
  });

  test("pages that nobody sends, once it is alone for long, and who sends again takes it back", async () => {
    using server = chatServer();
    using pager = openPagerduty();
    await using stage = await withChat(server);
    await stage.store.beat("mac-08/2", { sends: true });
    await stage.store.beat("mac-09/3", { sends: false });
    await using watch = standing(stage, pager.base_url);
    await watch.quiet();
    await stage.later(9 * minute);
    await watch.quiet();
    expect(pager.events).toEqual([]);
    await stage.later(2 * minute);
    await pager.arrived(1);
    await watch.quiet();
    expect(pager.incidents).toMatchObject([{ dedup_key: "meshmac:acme-ios:sender/none", triggers: 1 }]);
    expect(JSON.stringify(pager.incidents)).toContain("nobody sends: no gateway but a standby was seen for 10 min");
    await using sender = escalating(stage, ["chat:builds"], { pagers: oncall(pager.base_url) });
    await sender.quiet();
    await until(async () => pager.incidents[0]?.status === "resolved");
  });

  test("pages in place of the one that is gone", async () => {
    using server = chatServer();
    using pager = openPagerduty();
    await using stage = await withChat(server);
    await using watch = standing(stage, pager.base_url);
    const run_id = await deadRun(stage.store);
    await until(async () => pager.incidents.some(({ dedup_key }) => dedup_key.endsWith(run_id)));
    await watch.quiet();
  });
});

describe("two gateways", () => {
  test("page once, and resolve once", async () => {
    using server = chatServer();
    using pager = openPagerduty();
    await using stage = await withChat(server);
    await using one = escalating(stage, ["chat:builds"], { pagers: oncall(pager.base_url), escalate_after: "5h" });
    await using two = escalating(stage, ["chat:builds"], { pagers: oncall(pager.base_url), escalate_after: "5h" });
    Object.assign(server.say, { status: 403, body: "" });
    for (const key of ["MOB-1", "MOB-2"]) await stage.run("failed", key);
    await pager.arrived(1);
    await Promise.all([one.quiet(), two.quiet()]);
    expect(pager.events).toHaveLength(1);
    Object.assign(server.say, up);
    await stage.later(30 * minute);
    await stage.run("failed", "MOB-3");
    await stage.later(30 * minute);
    await until(async () => pager.events.length >= 2);
    await Promise.all([one.quiet(), two.quiet()]);
    expect(pager.events.map(({ event_action }) => event_action)).toEqual(["trigger", "resolve"]);
  });

  test("page each fault once on one Redis", async () => {
    const redis = await startRedis();
    const open = () => openRedis({ url: redis.url, pool: "acme-ios" });
    using pager = openPagerduty();
    const stores = await Promise.all([open(), open()]);
    const [store] = stores;
    if (!store) throw new Error("no store");
    await store.publish(rulesOf());
    const watches = stores.map((each) =>
      escalating({ store: each, now: Date.now, mask: (text) => text }, ["chat:builds"], {
        pagers: oncall(pager.base_url),
        escalate_after: "0s",
      }),
    );
    try {
      const { run_id } = await queue(store);
      const lease = await leased(store, askOf());
      await store.finish(resultOf(heldOf(lease), "failed"));
      await expandAll(store, "chat:builds");
      const dead = await Promise.all(Array.from({ length: 12 }, () => queue(store)));
      await store.publish(rulesOf({ lanes: { ios: laneOf({ max_lost: 1 }) }, lease: leaseOf(0) }));
      for (const _ of dead) await leased(store, askOf());
      await until(async () => {
        await store.reap();
        return (await store.list({ states: ["dead"], limit: 50 })).runs.length === dead.length;
      });
      await until(async () => pager.incidents.length === 13);
      await Promise.all(watches.map((watch) => watch.quiet()));
      expect(pager.events).toHaveLength(13);
      expect(JSON.stringify(pager.events)).toContain(run_id);
    } finally {
      await Promise.all(watches.map((watch) => watch.stop()));
      await Promise.all(stores.map((each) => each.close()));
      await redis.stop();
    }
  });
});
