import { describe, expect, test } from "bun:test";
import { withdrawn, type Mark, type Task } from "../../../src/core/records.ts";
import {
  askOf,
  delivery,
  heldOf,
  intent,
  laneOf,
  leased,
  longWait,
  never,
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

const long = { wait_ms: never, most_ms: 10 * never };
/** What comes after it makes the run due at once. */
const cut = { wait_ms: never, most_ms: 0 };

/** An entry of the issue that waits; every one builds something else. */
const moved = (marks: Mark[] = [], over: Partial<Task> = {}, debounce = long) => ({
  task: taskOf({ ref: crypto.randomUUID(), ...over }),
  marks,
  seen_at: seenAt,
  debounce,
});

const reasonOf = async (node: NodeSide, run_id: string) => (await seen(node, run_id)).run.reason;

export function debouncing(open: Open): void {
  describe("a debounced entry", () => {
    test(
      "is queued and told of at once, and leased to nobody before its time",
      withStore(open, async ({ store, node }) => {
        const { task, ...entry } = moved();
        expect(await node.accept({ ...entry, task })).toEqual({ status: "queued", run_id: task.run_id });
        expect(await node.lease(askOf())).toBeNull();
        expect(await told(store, task.run_id)).toEqual(["queued"]);
        const { runs } = await node.list({ states: ["queued"], limit: 5 });
        expect(runs).toHaveLength(1);
        expect(runs[0]).toMatchObject({ run_id: task.run_id, state: "queued" });
        expect(runs[0]?.reason).toMatch(/^debounced: waits until \d{4}-.*Z for a later move of the issue$/);
        const { lanes } = await node.lanes();
        expect(lanes).toMatchObject([{ lane: "ios", depth: 1, running: 0, oldest_queued_at: runs[0]?.queued_at }]);
      }),
    );

    test(
      "starts when it is due at a worker that waited before it came",
      withStore(open, async ({ node }) => {
        const waiting = node.lease(askOf(), { ms: longWait });
        const entry = moved([], {}, { wait_ms: 300, most_ms: 3000 });
        await node.accept(entry);
        const lease = await waiting;
        expect(lease?.task).toEqual(entry.task);
        const { run } = await seen(node, entry.task.run_id);
        expect((run.started_at ?? 0) - run.queued_at).toBeGreaterThanOrEqual(300);
        expect(run.reason).toBeNull();
      }),
    );

    test(
      "starts when it is due at a worker that comes later, and at once where nothing is left to wait",
      withStore(open, async ({ node }) => {
        const first = moved([], {}, { wait_ms: 100, most_ms: 1000 });
        await node.accept(first);
        expect((await node.lease(askOf(), { ms: longWait }))?.task.run_id).toBe(first.task.run_id);
        const late = moved([], { issue_key: "MOB-13" }, { wait_ms: 0, most_ms: 0 });
        await node.accept(late);
        expect((await leased(node, askOf({ node: "mac-08" }))).task.run_id).toBe(late.task.run_id);
      }),
    );

    test(
      "gives its place to a later one of its issue, in the same run, and says so to nobody twice",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ lanes: { ios: laneOf(), slow: laneOf() } }));
        const [first, second, third] = [moved(), moved(), moved([], { lane: "slow", script: "other" }, cut)];
        const { run_id } = first.task;
        for (const entry of [first, second]) expect(await node.accept(entry)).toEqual({ status: "queued", run_id });
        expect((await seen(node, run_id)).task).toEqual({ ...second.task, run_id });
        expect(await node.accept(third)).toEqual({ status: "queued", run_id });
        expect(await node.lease(askOf())).toBeNull();
        const lease = await until(() => node.lease(askOf({ scripts: ["other"] })));
        expect(lease.task).toEqual({ ...third.task, run_id });
        expect((await node.lanes()).lanes).toMatchObject([
          { lane: "ios", depth: 0 },
          { lane: "slow", depth: 0, running: 1 },
        ]);
        expect((await node.list({ limit: 5 })).runs).toHaveLength(1);
        expect(await told(store, run_id)).toEqual(["queued", "running"]);
        expect(await node.finish(resultOf(heldOf(lease)))).toBe("ok");
      }),
    );

    test(
      "waits anew for the one after it, but not for ever",
      withStore(open, async ({ node }) => {
        const first = moved([], {}, { wait_ms: 60_000, most_ms: never });
        const { run_id } = first.task;
        await node.accept(first);
        const before = await reasonOf(node, run_id);
        await node.accept(moved());
        expect((await reasonOf(node, run_id)) ?? "").not.toBe(before ?? "");
        await node.accept(moved([], {}, { wait_ms: 0, most_ms: 10 * never }));
        expect(await node.lease(askOf())).toBeNull();
        await node.accept(moved([], {}, cut));
        expect((await leased(node)).task.run_id).toBe(run_id);
      }),
    );

    test(
      "is found by every delivery that went into it, retried while it waits or when it is over",
      withStore(open, async ({ node }) => {
        const first = moved([delivery("d/jira/1"), intent("i/one")]);
        const second = moved([delivery("d/jira/2"), intent("i/two")]);
        const { run_id } = first.task;
        await node.accept(first);
        await node.accept(second);
        const retried = async () => {
          for (const { marks } of [first, second])
            expect(await node.accept(moved(marks))).toEqual({ status: "duplicate", run_id });
        };
        await retried();
        expect((await seen(node, run_id)).task.ref).toBe(second.task.ref);
        await node.accept(moved([delivery("d/jira/3"), intent("i/three")], {}, cut));
        await leased(node);
        await retried();
        expect((await node.list({ limit: 5 })).runs).toHaveLength(1);
      }),
    );

    test(
      "is a duplicate where it says nothing that the waiting one does not say",
      withStore(open, async ({ node }) => {
        const entry = moved([intent()]);
        const { run_id } = entry.task;
        await node.accept(entry);
        const before = await reasonOf(node, run_id);
        const task = { ...entry.task, run_id: Bun.randomUUIDv7(), correlation_id: "c-2", accepted_at: seenAt + 500 };
        const again = { ...entry, task, marks: [delivery(), ...entry.marks] };
        expect(await node.accept(again)).toEqual({ status: "duplicate", run_id });
        expect(await reasonOf(node, run_id)).toBe(before);
        expect(await node.accept(moved([delivery()]))).toEqual({ status: "duplicate", run_id });
      }),
    );

    test(
      "takes its place although the move is called the same, and its window counts from first sight",
      withStore(open, async ({ node }) => {
        const first = moved([intent()]);
        const { run_id } = first.task;
        await node.accept(first);
        const second = { ...moved([intent()], {}, cut), seen_at: seenAt + 4 * 60_000 };
        expect(await node.accept(second)).toEqual({ status: "queued", run_id });
        expect((await leased(node)).task).toEqual({ ...second.task, run_id });
        const again = (later: number) => ({ ...moved([intent()]), seen_at: seenAt + later });
        expect(await node.accept(again(4.5 * 60_000))).toEqual({ status: "duplicate", run_id });
        expect((await node.accept(again(5 * 60_000))).status).toBe("queued");
      }),
    );

    test(
      "answers the same when the reply was lost, whoever took its place since",
      withStore(open, async ({ node }) => {
        const [first, second, third] = [moved(), moved(), moved()];
        const { run_id } = first.task;
        for (const entry of [first, first, second, second, third, second, first])
          expect(await node.accept(entry)).toEqual({ status: "queued", run_id });
        expect((await seen(node, run_id)).task).toEqual({ ...third.task, run_id });
        expect((await node.list({ limit: 5 })).runs).toHaveLength(1);
      }),
    );

    test(
      "whose move was replaced is built when it comes again",
      withStore(open, async ({ node }) => {
        const first = moved([intent("i/one")]);
        const { run_id } = first.task;
        await node.accept(first);
        await node.accept(moved([intent("i/two")], {}, cut));
        await leased(node);
        expect(await node.accept(moved([intent("i/two")]))).toEqual({ status: "duplicate", run_id });
        expect((await node.accept(moved([intent("i/one")]))).status).toBe("queued");
        expect((await node.list({ limit: 5 })).runs).toHaveLength(2);
      }),
    );

    test(
      "leaves alone what is of another issue or source, what names no issue, and what waits for nothing",
      withStore(open, async ({ node }) => {
        const plain = await queue(node, {});
        for (const entry of [
          moved(),
          moved([], { issue_key: "MOB-13" }),
          moved([], { source: "youtrack" }),
          moved([], { issue_key: "" }),
          moved([], { issue_key: "" }),
        ])
          expect(await node.accept(entry)).toEqual({ status: "queued", run_id: entry.task.run_id });
        const more = await queue(node, {});
        expect((await leased(node)).task).toEqual(plain);
        expect((await leased(node, askOf({ node: "mac-08" }))).task).toEqual(more);
        expect(await node.lease(askOf({ node: "mac-09" }))).toBeNull();
      }),
    );

    test(
      "gives its place to nobody once it is due",
      withStore(open, async ({ node }) => {
        const first = moved([], {}, { wait_ms: 1, most_ms: 10 });
        await node.accept(first);
        await until(async () => (await reasonOf(node, first.task.run_id)) === null);
        const second = moved();
        expect(await node.accept(second)).toEqual({ status: "queued", run_id: second.task.run_id });
        expect((await leased(node)).task).toEqual(first.task);
      }),
    );

    test(
      "is called off with its reason, and its move may come again",
      withStore(open, async ({ store, node }) => {
        const entry = moved([delivery(), intent()]);
        const { run_id } = entry.task;
        const why = `${withdrawn}: status is "To Do"`;
        await node.accept(entry);
        expect(await store.callOff("youtrack", "MOB-12", why)).toBeNull();
        expect(await store.callOff("jira", "MOB-13", why)).toBeNull();
        expect(await store.callOff("jira", "MOB-12", why)).toBe(run_id);
        expect(await store.callOff("jira", "MOB-12", why)).toBeNull();
        expect((await seen(node, run_id)).run).toMatchObject({ state: "cancelled", reason: why });
        expect(await told(store, run_id)).toEqual(["queued", "cancelled"]);
        expect(await node.lease(askOf())).toBeNull();
        expect((await node.lanes()).lanes.filter(({ depth }) => depth > 0)).toEqual([]);
        expect(await node.accept(moved([delivery(), intent()]))).toEqual({ status: "duplicate", run_id });
        const again = moved([intent()]);
        expect(await node.accept(again)).toEqual({ status: "queued", run_id: again.task.run_id });
      }),
    );

    test(
      "is not called off once it is due, nor what never waited",
      withStore(open, async ({ store, node }) => {
        const plain = await queue(node, {});
        expect(await store.callOff("jira", "MOB-12", "x")).toBeNull();
        const entry = moved([], {}, { wait_ms: 0, most_ms: 0 });
        await node.accept(entry);
        expect(await store.callOff("jira", "MOB-12", "x")).toBeNull();
        for (const { run_id } of [plain, entry.task]) expect(await stateOf(node, run_id)).toBe("queued");
      }),
    );

    test(
      "is cancelled like any queued run",
      withStore(open, async ({ node }) => {
        const entry = moved();
        const { run_id } = entry.task;
        await node.accept(entry);
        expect(await node.cancel(run_id, "cancelled by ada")).toBe("cancelled");
        expect(await reasonOf(node, run_id)).toBe("cancelled by ada");
        const next = moved();
        expect(await node.accept(next)).toEqual({ status: "queued", run_id: next.task.run_id });
      }),
    );

    test(
      "ends what was queued before it where the lane wants that, and never itself",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ lanes: { ios: laneOf({ cancel_previous: true }) } }));
        const before = await queue(node, {});
        const first = moved();
        await node.accept(first);
        expect(await reasonOf(node, before.run_id)).toBe(`newer run ${first.task.run_id}`);
        await node.accept(moved([], {}, cut));
        expect((await leased(node)).task.run_id).toBe(first.task.run_id);
        await queue(node, {});
        expect((await seen(node, first.task.run_id)).cancel).toStartWith("newer run ");
      }),
    );
  });
}
