import { describe, expect, test } from "bun:test";
import {
  askOf,
  claimed,
  expandAll,
  heldOf,
  laneOf,
  leased,
  leaseOf,
  longWait,
  postOf,
  queue,
  reportOf,
  resultOf,
  rulesOf,
  seen,
  told,
  withStore,
} from "./given.ts";
import type { Open } from "./given.ts";

export function announcing(open: Open): void {
  describe("events", () => {
    test(
      "tell every state of a run in order, with its facts",
      withStore(open, async ({ store, node }) => {
        const task = await queue(node);
        const held = heldOf(await leased(node));
        const result = resultOf(held, "failed", { reason: "timed_out" });
        await node.finish(result);
        const events = await store.events(10);
        expect(new Set(events.map(({ id }) => id)).size).toBe(3);
        const common = { subject: task.run_id, task, report: null, lost: 0 };
        const [queued, running, failed] = events;
        expect(queued).toMatchObject({
          ...common,
          seq: 1,
          state: "queued",
          node: null,
          attempt: 0,
          reason: null,
          started_at: null,
          result: null,
        });
        expect(running).toMatchObject({
          ...common,
          seq: 2,
          state: "running",
          node: "mac-07",
          attempt: 1,
          reason: null,
          result: null,
        });
        expect(failed).toMatchObject({
          ...common,
          seq: 3,
          state: "failed",
          node: "mac-07",
          attempt: 1,
          reason: "timed_out",
          result,
        });
        expect(running?.started_at).toBeNumber();
        expect(failed?.started_at).toBe(running?.started_at ?? 0);
        expect(Math.abs((queued?.at ?? 0) - Date.now())).toBeLessThan(60_000);
      }),
    );

    test(
      "keep the facts of their own moment, whatever came later",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ lanes: { ios: laneOf({ max_lost: 2 }) }, lease: leaseOf(0) }));
        const { run_id } = await queue(node);
        await leased(node, askOf({ node: "a" }));
        await leased(node, askOf({ node: "b" }));
        await store.reap();
        expect(await store.events(10)).toMatchObject([
          { subject: run_id, seq: 1, state: "queued", attempt: 0, lost: 0 },
          { subject: run_id, seq: 2, state: "running", node: "a", attempt: 1, lost: 0 },
          { subject: run_id, seq: 3, state: "running", node: "b", attempt: 2, lost: 1 },
          { subject: run_id, seq: 4, state: "dead", node: "b", attempt: 2, lost: 2, reason: "lost 2 times" },
        ]);
      }),
    );

    test(
      "say why a run was cancelled, queued or running",
      withStore(open, async ({ store, node }) => {
        const [first, second] = [await queue(node), await queue(node)];
        await node.cancel(second.run_id, "not needed");
        const held = heldOf(await leased(node));
        await node.cancel(first.run_id, "superseded");
        await node.finish(resultOf(held, "cancelled"));
        const cancelled = (await store.events(10)).filter(({ state }) => state === "cancelled");
        expect(cancelled).toMatchObject([
          { subject: second.run_id, reason: "not needed", node: null, result: null },
          { subject: first.run_id, reason: "superseded", node: "mac-07", attempt: 1 },
        ]);
      }),
    );

    test(
      "come oldest first, as many as asked, until they are expanded",
      withStore(open, async ({ store, node }) => {
        const tasks = [await queue(node), await queue(node), await queue(node)];
        const first = await store.events(2);
        expect(first.map(({ subject }) => subject)).toEqual(tasks.slice(0, 2).map(({ run_id }) => run_id));
        expect(await store.events(2)).toEqual(first);
        for (const event of first) await store.expand([{ event, posts: [] }]);
        expect((await store.events(2)).map(({ subject }) => subject)).toEqual([tasks[2]?.run_id ?? ""]);
      }),
    );
  });

  describe("events that nobody hears", () => {
    test(
      "are deleted on the way, those that somebody hears and those of reports stay",
      withStore(open, async ({ store, node }) => {
        const task = await queue(node, { script: "lonely" });
        const lease = await leased(node, askOf({ scripts: ["lonely"] }));
        for (let i = 0; i < 5; i++) await queue(node);
        await node.report(reportOf());
        const [first] = await store.events(2, ["running", "failed"]);
        expect([first?.subject, first?.state]).toEqual([task.run_id, "running"]);
        await store.expand(first ? [{ event: first, posts: [] }] : []);
        const [report, ...rest] = await store.events(10, ["running", "failed"]);
        expect([report?.report?.provider_run_id, rest]).toEqual([reportOf().provider_run_id, []]);
        await node.finish(resultOf(heldOf(lease), "failed"));
        expect((await store.events(10, ["failed"])).map(({ state }) => state)).toEqual(["succeeded", "failed"]);
      }),
    );
  });

  describe("expand", () => {
    test(
      "is done by one of two gateways",
      withStore(open, async ({ store, node }) => {
        const { run_id } = await queue(node);
        const [event] = await store.events(1);
        if (!event) throw new Error("no event");
        const posts = [postOf(event, "chat:builds"), postOf(event, "comment:jira")];
        const done = await Promise.all([store.expand([{ event, posts }]), store.expand([{ event, posts }])]);
        expect(done.flat().toSorted()).toEqual([false, true]);
        expect(await store.expand([{ event, posts }])).toEqual([false]);
        expect(await store.events(1)).toEqual([]);
        expect(
          (await seen(node, run_id)).posts.toSorted((a, b) => a.destination.localeCompare(b.destination)),
        ).toMatchObject([
          { destination: "chat:builds", state: "queued", status: "waiting", tries: 0, unsure: false, why: null },
          { destination: "comment:jira", state: "queued", status: "waiting", tries: 0 },
        ]);
      }),
    );

    test(
      "makes one post of one state, though a run is leased twice",
      withStore(open, async ({ store, node }) => {
        const { run_id } = await queue(node);
        await node.finish(resultOf(heldOf(await leased(node)), "queued"));
        await leased(node);
        expect(await told(store, run_id)).toEqual(["queued", "running", "running"]);
        await expandAll(store, "chat:builds");
        expect((await seen(node, run_id)).posts.map(({ state }) => state)).toEqual(["queued", "running"]);
      }),
    );

    test(
      "hands the announcement on as it was given",
      withStore(open, async ({ store, node }) => {
        await queue(node);
        const [event] = await expandAll(store, "chat:builds");
        if (!event) throw new Error("no event");
        const post = await claimed(store, ["chat:builds"]);
        expect(post).toMatchObject({
          key: postOf(event, "chat:builds").key,
          subject: event.subject,
          seq: 1,
          state: "queued",
        });
        expect(post.announcement).toEqual(postOf(event, "chat:builds").announcement);
      }),
    );
  });

  describe("stirred", () => {
    test(
      "wakes on an event, and on a post",
      withStore(open, async ({ store, node }) => {
        const event = store.stirred("events", { ms: longWait });
        await queue(node);
        await event;
        await expandAll(store, "chat:builds");
        await store.stirred("posts", { ms: longWait });
        const { key, claim } = await claimed(store, ["chat:builds"]);
        const again = store.stirred("posts", { ms: longWait });
        await store.settle({ key, claim, verdict: "later", due_in_ms: 0, unsure: false });
        await again;
      }),
    );

    test(
      "does not sleep through what happened before it was called",
      withStore(open, async ({ store, node }) => {
        await queue(node);
        await store.stirred("events", { ms: longWait });
      }),
    );

    test(
      "wakes when a post falls due",
      withStore(open, async ({ store, node }) => {
        await queue(node);
        await expandAll(store, "chat:builds");
        const { key, claim } = await claimed(store, ["chat:builds"]);
        await store.settle({ key, claim, verdict: "later", due_in_ms: 150, unsure: false });
        for (;;) {
          const { post } = await store.claim(crypto.randomUUID(), 60_000, ["chat:builds"]);
          if (post) break;
          await store.stirred("posts", { ms: longWait });
        }
      }),
    );

    test(
      "ends with its time and with its signal",
      withStore(open, async ({ store }) => {
        await store.stirred("events", { ms: 1 });
        const impatient = new AbortController();
        const waiting = store.stirred("events", { ms: longWait, signal: impatient.signal });
        impatient.abort();
        await waiting;
      }),
    );
  });

  describe("the gateway's small verbs", () => {
    test(
      "open and resolve an alert once",
      withStore(open, async ({ store }) => {
        expect(await store.alert("chat:builds", "resolve")).toBe(false);
        expect(await store.alert("chat:builds", "open", "status 403")).toBe(true);
        expect(await store.alert("chat:builds", "open", "status 403")).toBe(false);
        expect(await store.alert("chat:other", "open")).toBe(true);
        expect(await store.alert("chat:builds", "resolve")).toBe(true);
        expect(await store.alert("chat:builds", "resolve")).toBe(false);
        expect(await store.alert("chat:builds", "open")).toBe(true);
      }),
    );

    test(
      "can be repeated",
      withStore(open, async ({ store }) => {
        await store.check();
        await store.check();
        for (let i = 0; i < 2; i++) await store.publish(rulesOf());
        for (let i = 0; i < 2; i++) await store.beat("gateway-1", { version: "0.1.0" });
        for (let i = 0; i < 2; i++) await store.sweep();
        for (let i = 0; i < 2; i++) await store.pause("ios", null);
      }),
    );

    test(
      "say what the store is and how durable",
      withStore(open, async ({ store }) => {
        expect(store.about.kind).toBeOneOf(["sqlite", "redis"]);
        expect(store.about.durability).not.toBe("");
      }),
    );
  });
}
