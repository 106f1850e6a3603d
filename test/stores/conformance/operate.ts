import { describe, expect, test } from "bun:test";
import { type DeliveryNote, type Report, subjectOf, type Use } from "../../../src/core/records.ts";
import type { Filter } from "../../../src/stores/store.ts";
import {
  askOf,
  claimed,
  expandAll,
  heldOf,
  intent,
  leased,
  longWait,
  queue,
  resultOf,
  rulesOf,
  seen,
  seenAt,
  stateOf,
  taskOf,
  told,
  until,
  withStore,
} from "./given.ts";
import type { NodeSide, Open } from "./given.ts";

const ids = async (node: NodeSide, filter: Partial<Filter> = {}): Promise<string[]> =>
  (await node.list({ limit: 50, ...filter })).runs.map(({ run_id }) => run_id);

const noteOf = (n: number, over: Partial<DeliveryNote> = {}): DeliveryNote => ({
  at: seenAt + n,
  source: "jira",
  correlation_id: `c-${n}`,
  outcome: "ignored",
  reason: "status is Done",
  run_id: null,
  issue_key: "MOB-12",
  ...over,
});

const reportOf = (over: Partial<Report> = {}): Report => ({
  source: "notify",
  workflow: "nightly",
  state: "succeeded",
  branch: "main",
  commit: null,
  run_url: null,
  mesh_node_id: "mac-07",
  provider_run_id: "4711",
  failing_target: null,
  ...over,
});

const useOf = (over: Partial<Use> = {}): Use => ({
  secret: "jira/inbound.token",
  key_id: "0a1b2c3d",
  role: "current",
  loaded_ms: 60_000,
  count: 3,
  refused: 1,
  idle_ms: 1_000,
  ...over,
});

const ending = (tail: string): string => Bun.randomUUIDv7().slice(0, -tail.length) + tail;

export function operating(open: Open): void {
  describe("list and show", () => {
    test(
      "lists newest first, page by page",
      withStore(open, async ({ node }) => {
        const made: string[] = [];
        for (let i = 0; i < 7; i++) made.unshift((await queue(node)).run_id);
        const paged: string[] = [];
        let cursor: string | undefined;
        do {
          const page = await node.list({ limit: 3, ...(cursor !== undefined && { cursor }) });
          expect(page.runs.length).toBeLessThanOrEqual(3);
          paged.push(...page.runs.map(({ run_id }) => run_id));
          cursor = page.next ?? undefined;
        } while (cursor !== undefined);
        expect(paged).toEqual(made);
      }),
    );

    test.each(["zz", "-1", "1e3", "", "1".repeat(40)])("refuses %j, which is no cursor", (cursor) =>
      withStore(open, async ({ node }) => {
        await queue(node);
        await expect(node.list({ limit: 3, cursor })).rejects.toMatchObject({ kind: "data" });
      })(),
    );

    test(
      "filters by node and by when a run was queued",
      withStore(open, async ({ node }) => {
        const first = await queue(node, { script: "other" });
        await leased(node, askOf({ node: "mac-11", scripts: ["other"] }));
        const { queued_at } = (await seen(node, first.run_id)).run;
        expect(await ids(node, { node: "mac-11" })).toEqual([first.run_id]);
        expect(await ids(node, { node: "mac-12" })).toEqual([]);
        expect(await ids(node, { since: queued_at })).toEqual([first.run_id]);
        expect(await ids(node, { since: queued_at + 1 })).toEqual([]);
      }),
    );

    test(
      "filters by state, lane, source and issue",
      withStore(open, async ({ node }) => {
        const running = await queue(node, { script: "other" });
        await leased(node, askOf({ scripts: ["other"] }));
        const cancelled = await queue(node);
        await node.cancel(cancelled.run_id, "not needed");
        const linux = await queue(node, { lane: "linux", source: "youtrack", issue_key: "WEB-3" });
        expect(await ids(node)).toEqual([linux.run_id, cancelled.run_id, running.run_id]);
        expect(await ids(node, { states: ["running"] })).toEqual([running.run_id]);
        expect(await ids(node, { states: ["running", "cancelled"] })).toEqual([cancelled.run_id, running.run_id]);
        expect(await ids(node, { states: ["dead"] })).toEqual([]);
        expect(await ids(node, { lane: "linux" })).toEqual([linux.run_id]);
        expect(await ids(node, { source: "jira" })).toEqual([cancelled.run_id, running.run_id]);
        expect(await ids(node, { issue_key: "WEB-3", source: "youtrack" })).toEqual([linux.run_id]);
        expect(await ids(node, { issue_key: "WEB-3" })).toEqual([linux.run_id]);
      }),
    );

    test(
      "shows a run as the API does",
      withStore(open, async ({ node }) => {
        const task = await queue(node);
        const shown = await seen(node, task.run_id);
        expect(shown.run).toEqual({
          run_id: task.run_id,
          state: "queued",
          reason: null,
          source: "jira",
          issue_key: "MOB-12",
          project: "MOB",
          summary: task.summary,
          requested_by: "Ada",
          lane: "ios",
          script: "build-ios",
          repo_url: task.repo_url,
          ref: "main",
          node: null,
          attempt: 0,
          lost: 0,
          queued_at: shown.run.queued_at,
          started_at: null,
          ended_at: null,
          exit_code: null,
          commit: null,
          failing_target: null,
          run_url: null,
          retry_of: null,
        });
        expect(Math.abs(shown.run.queued_at - Date.now())).toBeLessThan(60_000);
        expect(shown).toMatchObject({ task, result: null, posts: [], cancel: null });
        expect((await node.list({ limit: 1 })).runs[0]).toEqual(shown.run);
      }),
    );

    test(
      "finds a run by any unique ending of four characters or more",
      withStore(open, async ({ node }) => {
        const [one, two, three] = [ending("aaa111"), ending("bbb111"), ending("ccc222")];
        for (const run_id of [one, two, three]) await queue(node, { run_id });
        expect((await seen(node, "a111")).run.run_id).toBe(one);
        expect((await seen(node, "bbb111")).run.run_id).toBe(two);
        expect((await seen(node, "c222")).run.run_id).toBe(three);
        expect(await node.show("222")).toBeNull();
        expect(await node.show("dddd")).toBeNull();
        expect(await node.show("%222")).toBeNull();
        const four = ending("aa111");
        await queue(node, { run_id: four });
        const both = [one, four].toSorted().join(", ");
        await expect(node.show("a111")).rejects.toMatchObject({ kind: "data", hint: `give more of the id: ${both}` });
        for (const first of "cdefg") await queue(node, { run_id: ending(`${first}a111`) });
        await expect(node.show("a111")).rejects.toMatchObject({
          hint: expect.stringMatching(/(.{36}, ){4}.{36} and more$/),
        });
      }),
    );
  });

  describe("cancel", () => {
    test(
      "ends a queued run, asks a running one, and says what it cannot",
      withStore(open, async ({ store, node }) => {
        const [running, queued] = [await queue(node), await queue(node)];
        const held = heldOf(await leased(node));
        expect(held.run_id).toBe(running.run_id);
        expect(await node.cancel(queued.run_id, "not needed")).toBe("cancelled");
        expect(await node.cancel(queued.run_id, "not needed")).toBe("over");
        expect(await node.cancel(running.run_id, "not needed")).toBe("asked");
        expect(await node.cancel(running.run_id, "another reason")).toBe("asked");
        expect(await node.cancel(Bun.randomUUIDv7(), "not needed")).toBe("unknown");
        expect((await seen(node, queued.run_id)).run).toMatchObject({ state: "cancelled", reason: "not needed" });
        expect((await seen(node, running.run_id)).cancel).toBe("not needed");
        expect(await told(store, queued.run_id)).toEqual(["queued", "cancelled"]);
        await node.finish(resultOf(held, "succeeded"));
        expect(await node.cancel(running.run_id, "too late")).toBe("over");
        expect(await stateOf(node, running.run_id)).toBe("succeeded");
      }),
    );
  });

  describe("posts", () => {
    test(
      "of a report are unknown until its state is expanded, then follow what became of them",
      withStore(open, async ({ store, node }) => {
        const report = reportOf({ state: "failed" });
        const subject = subjectOf(report);
        expect(await node.posts(subject)).toEqual([]);
        await node.report(report);
        expect(await node.posts(subject)).toBeNull();
        await expandAll(store, "chat:builds", "chat:other");
        expect(await node.posts(subject)).toMatchObject([
          { destination: "chat:builds", state: "failed", status: "waiting", tries: 0, unsure: false, why: null },
          { destination: "chat:other", state: "failed", status: "waiting" },
        ]);
        const { key, claim } = await claimed(store, ["chat:other"]);
        expect(await node.posts(subject)).toMatchObject([{ status: "waiting" }, { status: "sending", tries: 1 }]);
        await store.settle({ key, claim, verdict: "dead", why: "status 404" });
        expect(await node.posts(subject)).toMatchObject([{ status: "waiting" }, { status: "dead", why: "status 404" }]);
        await node.report(reportOf());
        expect(await node.posts(subject)).toBeNull();
        await expandAll(store, "chat:builds");
        expect((await node.posts(subject))?.map(({ state }) => state)).toEqual(["failed", "failed", "succeeded"]);
        expect(await node.posts(`${subject}0`)).toEqual([]);
      }),
    );

    test(
      "of a report that nobody wants to hear are none",
      withStore(open, async ({ store, node }) => {
        await node.report(reportOf());
        await expandAll(store);
        expect(await node.posts(subjectOf(reportOf()))).toEqual([]);
      }),
    );

    test(
      "of a run are those that it is shown with",
      withStore(open, async ({ store, node }) => {
        const { run_id } = await queue(node);
        expect(await node.posts(run_id)).toBeNull();
        await expandAll(store, "chat:builds");
        const posts = await node.posts(run_id);
        expect(posts).toHaveLength(1);
        expect(posts).toEqual((await seen(node, run_id)).posts);
      }),
    );
  });

  describe("a node's mode", () => {
    test(
      "drained leases it nothing new, lets it end what it runs, and says why",
      withStore(open, async ({ node }) => {
        expect(await node.mode("mac-07", "drained", "new Xcode")).toBe("unknown");
        const first = await queue(node);
        const ask = askOf();
        const held = heldOf(await leased(node, ask));
        await queue(node);
        expect(await node.mode("mac-07", "drained", "new Xcode")).toBe("ok");
        expect(await node.mode("mac-07", "drained", "new Xcode")).toBe("ok");
        // The answer that was lost is given again; what is new is not.
        expect((await node.lease(ask))?.task.run_id).toBe(first.run_id);
        expect(await node.lease(askOf({ holding: [held] }))).toBeNull();
        expect(await node.nodes()).toMatchObject([
          { node: "mac-07", mode: "drained", why: "new Xcode", running: [held] },
        ]);
        expect((await node.renew("mac-07", [held])).words).toEqual(["ok"]);
        expect(await node.finish(resultOf(held))).toBe("ok");
        expect(await node.lease(askOf())).toBeNull();
        const other = heldOf(await leased(node, askOf({ node: "mac-08" })));
        await node.finish(resultOf(other, "succeeded", { mesh_node_id: "mac-08" }));
      }),
    );

    test(
      "drained without a reason is drained all the same",
      withStore(open, async ({ node }) => {
        await node.lease(askOf());
        await queue(node);
        expect(await node.mode("mac-07", "drained", null)).toBe("ok");
        expect(await node.nodes()).toMatchObject([{ mode: "drained", why: null }]);
        expect(await node.lease(askOf())).toBeNull();
      }),
    );

    test(
      "active again wakes a lease that waits",
      withStore(open, async ({ node }) => {
        await node.lease(askOf());
        await node.mode("mac-07", "drained", "new Xcode");
        const task = await queue(node);
        const waiting = node.lease(askOf(), { ms: longWait });
        expect(await node.mode("mac-07", "active", null)).toBe("ok");
        expect((await waiting)?.task.run_id).toBe(task.run_id);
        expect(await node.nodes()).toMatchObject([{ mode: "active", why: null }]);
      }),
    );

    test(
      "drained reaches a lease that waits already",
      withStore(open, async ({ node }) => {
        await node.lease(askOf());
        const gone = new AbortController();
        const waiting = node.lease(askOf(), { ms: longWait, signal: gone.signal });
        await node.mode("mac-07", "drained", null);
        const task = await queue(node);
        expect(heldOf(await leased(node, askOf({ node: "mac-08" }))).run_id).toBe(task.run_id);
        gone.abort();
        expect(await waiting).toBeNull();
      }),
    );
  });

  describe("forget", () => {
    test(
      "deletes an idle node with its mode, and a busy one only by force",
      withStore(open, async ({ node }) => {
        expect(await node.forget("mac-07", false)).toBe("unknown");
        const task = await queue(node);
        const held = heldOf(await leased(node));
        await node.mode("mac-07", "drained", "sold");
        expect(await node.forget("mac-07", false)).toBe("busy");
        expect(await node.nodes()).toHaveLength(1);
        expect(await node.forget("mac-07", true)).toBe("ok");
        expect(await node.forget("mac-07", true)).toBe("unknown");
        expect(await node.nodes()).toEqual([]);
        // Its lease is nobody else's until it runs out: the script may still run.
        expect(await node.lease(askOf({ node: "mac-08" }))).toBeNull();
        expect((await seen(node, task.run_id)).run).toMatchObject({ state: "running", node: "mac-07" });
        expect(await node.finish(resultOf(held))).toBe("ok");
        const next = await queue(node);
        expect((await leased(node)).task.run_id).toBe(next.run_id);
      }),
    );
  });

  describe("gateways", () => {
    test(
      "are known by their last beat",
      withStore(open, async ({ store, node }) => {
        expect(await node.gateways()).toEqual([]);
        await store.beat("mac-07/1", { version: "0.1.0" });
        await store.beat("mac-08/2", { version: "0.1.0", sends: false });
        await store.beat("mac-07/1", { version: "0.2.0" });
        const gateways = await node.gateways();
        expect(gateways.map(({ gateway, facts }) => [gateway, facts]).toSorted()).toEqual([
          ["mac-07/1", { version: "0.2.0" }],
          ["mac-08/2", { version: "0.1.0", sends: false }],
        ]);
        await store.sweep();
        expect(await node.gateways()).toHaveLength(2);
        for (const { silent_ms, last_seen } of gateways) {
          expect(silent_ms).toBeWithin(0, 60_000);
          expect(Math.abs(last_seen - Date.now())).toBeLessThan(60_000);
        }
      }),
    );
  });

  describe("gateways that fell silent", () => {
    test(
      "are forgotten, a standby too",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ keep: { ...rulesOf().keep, gateways_ms: 0 } }));
        await store.beat("mac-07/1", { sends: true });
        await store.beat("mac-08/2", { sends: false });
        await until(async () => (await node.gateways()).every(({ silent_ms }) => silent_ms > 1));
        await store.sweep();
        expect(await node.gateways()).toEqual([]);
        await store.beat("mac-08/2", { sends: false });
        expect(await node.gateways()).toMatchObject([{ gateway: "mac-08/2" }]);
      }),
    );
  });

  describe("alerts", () => {
    test(
      "are listed with what they were opened with, open or resolved",
      withStore(open, async ({ store, node }) => {
        expect(await node.alerts()).toEqual([]);
        await store.alert("destination/chat:builds/config", "open", "status 403");
        await store.alert("run/1", "open");
        await store.alert("run/1", "resolve");
        const rows = (await node.alerts()).toSorted((one, other) => (one.key < other.key ? -1 : 1));
        expect(rows).toEqual([
          { key: "destination/chat:builds/config", open: true, at: expect.any(Number), opened_with: "status 403" },
          { key: "run/1", open: false, at: expect.any(Number), opened_with: null },
        ]);
        await store.alert("run/1", "open", "again");
        expect((await node.alerts()).find(({ key }) => key === "run/1")).toMatchObject({
          open: true,
          opened_with: "again",
        });
      }),
    );
  });

  describe("uses of secrets", () => {
    test(
      "are what each gateway said last, however often it said so, and grow older",
      withStore(open, async ({ store, node }) => {
        expect(await node.uses()).toEqual([]);
        await store.tally("mac-07/1", [useOf()]);
        const uses = [useOf({ count: 4 }), useOf({ key_id: "99887766", role: "next", count: 0, idle_ms: null })];
        for (let time = 0; time < 3; time++) await store.tally("mac-07/1", uses);
        await store.tally("mac-08/2", []);
        const tallies = (await node.uses()).toSorted((one, other) => (one.gateway < other.gateway ? -1 : 1));
        expect(tallies.map(({ gateway, uses: said }) => [gateway, said.length])).toEqual([
          ["mac-07/1", 2],
          ["mac-08/2", 0],
        ]);
        const [first, second] = tallies[0]?.uses ?? [];
        expect(first).toMatchObject({ secret: "jira/inbound.token", key_id: "0a1b2c3d", count: 4, refused: 1 });
        expect(second).toMatchObject({ key_id: "99887766", role: "next", count: 0, idle_ms: null });
        const silent = tallies[0]?.silent_ms ?? -1;
        expect(silent).toBeWithin(0, 60_000);
        expect(first?.idle_ms).toBe(1_000 + silent);
        expect(first?.loaded_ms).toBe(60_000 + silent);
        await until(async () => ((await node.uses())[0]?.silent_ms ?? 0) > silent);
      }),
    );

    test(
      "are also what a command says that sent something",
      withStore(open, async ({ node }) => {
        const use = useOf({ secret: "mattermost/builds.url", count: 1, refused: 0, taken: 1 });
        for (let time = 0; time < 2; time++) await node.tally("mac-07/notify mattermost/builds.url", [use]);
        expect(await node.uses()).toMatchObject([
          { gateway: "mac-07/notify mattermost/builds.url", uses: [{ key_id: use.key_id, count: 1, taken: 1 }] },
        ]);
      }),
    );

    test(
      "are kept of the last 500 gateways",
      withStore(open, async ({ store, node }) => {
        for (let n = 0; n < 505; n++) await store.tally(`mac-07/${n}`, []);
        const kept = await node.uses();
        expect(kept).toHaveLength(500);
        expect(kept.some(({ gateway }) => gateway === "mac-07/504")).toBe(true);
      }),
    );
  });

  describe("deliveries", () => {
    test(
      "are read newest first, by outcome, and kept to the number that was published",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ keep: { ...rulesOf().keep, deliveries: 20 } }));
        await store.note([]);
        await store.note([noteOf(1), noteOf(2, { outcome: "refused", reason: "bad ref" })]);
        expect(await node.deliveries(10)).toEqual([noteOf(2, { outcome: "refused", reason: "bad ref" }), noteOf(1)]);
        expect(await node.deliveries(10, "ignored")).toEqual([noteOf(1)]);
        expect(await node.deliveries(1)).toHaveLength(1);
        for (let n = 10; n < 60; n += 10) await store.note(Array.from({ length: 10 }, (_, i) => noteOf(n + i)));
        const kept = await node.deliveries(100);
        expect(kept.map(({ at }) => at - seenAt)).toEqual(Array.from({ length: 20 }, (_, i) => 59 - i));
      }),
    );
  });

  describe("sweep", () => {
    test(
      "deletes what is over and told, keeps what is not, and forgets no mark",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ keep: { ...rulesOf().keep, runs_ms: 0, logs_ms: 0 } }));
        const task = taskOf();
        await node.accept({ task, marks: [intent()], seen_at: seenAt });
        const held = heldOf(await leased(node));
        await node.log({ ...held, node: "mac-07", offset: 0, bytes: new TextEncoder().encode("kept while it runs") });
        const waiting = await queue(node);
        await store.sweep();
        expect((await node.readLog(held.run_id, 1, 0, 100)).size).toBe(18);
        await node.finish(resultOf(held));
        await expandAll(store);
        await until(async () => {
          await store.sweep();
          return (await node.show(task.run_id)) === null;
        });
        expect((await node.readLog(held.run_id, 1, 0, 100)).size).toBe(0);
        expect(await stateOf(node, waiting.run_id)).toBe("queued");
        expect(await node.accept({ task: taskOf(), marks: [intent()], seen_at: seenAt + 1000 })).toEqual({
          status: "duplicate",
          run_id: task.run_id,
        });
      }),
    );
  });
}
