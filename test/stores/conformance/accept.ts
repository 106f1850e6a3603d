import { describe, expect, test } from "bun:test";
import { type Mark, withdrawn } from "../../../src/core/records.ts";
import {
  day,
  delivery,
  heldOf,
  intent,
  laneOf,
  leased,
  longWait,
  minute,
  queue,
  resultOf,
  rulesOf,
  seen,
  seenAt,
  stateOf,
  taskOf,
  withStore,
} from "./given.ts";
import type { NodeSide, Open } from "./given.ts";

/** Accepts a new task of its own run_id, seen `later` ms after the first. */
const accept = (node: NodeSide, marks: Mark[], later = 0) =>
  node.accept({ task: taskOf(), marks, seen_at: seenAt + later });

export function accepting(open: Open): void {
  describe("accept", () => {
    test(
      "makes one run of 200 copies of one delivery",
      withStore(open, async ({ node }) => {
        const answers = await Promise.all(Array.from({ length: 200 }, () => accept(node, [delivery(), intent()])));
        expect(answers.filter(({ status }) => status === "queued")).toHaveLength(1);
        expect(new Set(answers.map((answer) => "run_id" in answer && answer.run_id)).size).toBe(1);
        expect((await node.list({ limit: 10 })).runs).toHaveLength(1);
      }),
    );

    test(
      "answers queued again when the reply was lost, and keeps one run",
      withStore(open, async ({ store, node }) => {
        const entry = { task: taskOf(), marks: [delivery(), intent()], seen_at: seenAt };
        expect(await node.accept(entry)).toEqual({ status: "queued", run_id: entry.task.run_id });
        expect(await node.accept(entry)).toEqual({ status: "queued", run_id: entry.task.run_id });
        await leased(node);
        expect(await node.accept(entry)).toEqual({ status: "queued", run_id: entry.task.run_id });
        expect((await store.events(10)).map(({ state }) => state)).toEqual(["queued", "running"]);
      }),
    );

    test.each([
      ["an intent, at once", intent(), 0, "duplicate"],
      ["an intent across a five-minute edge", intent(), 2000, "duplicate"],
      ["an intent one second before its window ends", intent(), 5 * minute - 1000, "duplicate"],
      ["an intent after its window", intent(), 5 * minute, "queued"],
      ["an intent seen out of order", intent(), -2000, "duplicate"],
      ["a delivery half an hour later", delivery(), 30 * minute, "duplicate"],
      ["a delivery one second before 8 days are over", delivery(), 8 * day - 1000, "duplicate"],
      ["a delivery after 8 days", delivery(), 8 * day, "queued"],
    ] as const)("repeats %s", (_what, mark, later, status) =>
      withStore(open, async ({ node }) => {
        // One second before an edge of the five-minute grid.
        const first = Math.ceil(seenAt / (5 * minute)) * 5 * minute - 1000;
        const task = taskOf();
        await node.accept({ task, marks: [mark], seen_at: first });
        const answer = await node.accept({ task: taskOf(), marks: [mark], seen_at: first + later });
        expect(answer.status).toBe(status);
        if (answer.status === "duplicate") expect(answer.run_id).toBe(task.run_id);
      })(),
    );

    test(
      "queues an intent again whose run was withdrawn, but not the same delivery",
      withStore(open, async ({ store, node }) => {
        const first = await accept(node, [delivery(), intent()]);
        expect(await store.cancel(first.run_id, `${withdrawn}: To Do`)).toBe("cancelled");
        expect(await accept(node, [delivery(), intent()], 1000)).toEqual({ status: "duplicate", run_id: first.run_id });
        const again = await accept(node, [intent()], 2000);
        expect(again.status).toBe("queued");
        expect(await accept(node, [intent()], 3000)).toEqual({ status: "duplicate", run_id: again.run_id });
        await store.cancel(again.run_id, "cancelled by ada");
        expect((await accept(node, [intent()], 4000)).status).toBe("duplicate");
      }),
    );

    test(
      "compares a mark that is only left with nothing, and leaves none that is only looked for",
      withStore(open, async ({ node }) => {
        const key = `r/${intent().key.slice(2)}`;
        const look: Mark = { key, window_ms: day, only: "look" };
        const leave: Mark = { key, window_ms: day, only: "leave" };
        expect((await accept(node, [look])).status).toBe("queued");
        expect((await accept(node, [look])).status).toBe("queued");
        const found = await accept(node, [leave]);
        expect(found.status).toBe("queued");
        expect(await accept(node, [look], day - 1000)).toEqual({ status: "duplicate", run_id: found.run_id });
        expect((await accept(node, [leave], 1000)).status).toBe("queued");
        expect((await accept(node, [look], day + 1000)).status).toBe("queued");
      }),
    );

    test(
      "counts an intent's window from first sight, whatever came between",
      withStore(open, async ({ node }) => {
        await accept(node, [intent()]);
        expect((await accept(node, [intent()], 4 * minute)).status).toBe("duplicate");
        expect((await accept(node, [intent()], 5 * minute + 1000)).status).toBe("queued");
        expect((await accept(node, [intent()], 9 * minute)).status).toBe("duplicate");
      }),
    );

    test(
      "remembers a delivery that was a duplicate by its intent only",
      withStore(open, async ({ node }) => {
        const { run_id } = taskOf();
        await node.accept({ task: taskOf({ run_id }), marks: [delivery("d/jira/1"), intent()], seen_at: seenAt });
        const duplicate = { status: "duplicate" as const, run_id };
        expect(await accept(node, [delivery("d/jira/2"), intent()], 1000)).toEqual(duplicate);
        expect(await accept(node, [delivery("d/jira/2"), intent()], 60 * minute)).toEqual(duplicate);
      }),
    );

    test(
      "opens no new window for an intent whose delivery is only a late retry",
      withStore(open, async ({ node }) => {
        await accept(node, [delivery("d/jira/1"), intent()]);
        expect((await accept(node, [delivery("d/jira/1"), intent()], 30 * minute)).status).toBe("duplicate");
        expect((await accept(node, [delivery("d/jira/2"), intent()], 31 * minute)).status).toBe("queued");
      }),
    );

    test(
      "takes what is beyond a lane's depth too",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ lanes: { ios: laneOf({ max_depth: 1 }) } }));
        for (let i = 0; i < 3; i++) {
          const task = taskOf();
          expect(await node.accept({ task, marks: [], seen_at: seenAt })).toEqual({
            status: "queued",
            run_id: task.run_id,
          });
        }
      }),
    );

    test(
      "cancels the issue's earlier runs in a lane that says so, and no other's",
      withStore(open, async ({ store, node }) => {
        const cancelling = { cancel_previous: true, limit: 1 };
        await store.publish(rulesOf({ lanes: { ios: laneOf(cancelling), linux: laneOf(cancelling) } }));
        const running = await queue(node);
        await leased(node);
        const elsewhere = await queue(node, { lane: "linux" });
        const stranger = await queue(node, { issue_key: "MOB-13" });
        const waiting = await queue(node);
        const newest = await queue(node);
        expect((await seen(node, waiting.run_id)).run).toMatchObject({
          state: "cancelled",
          reason: `newer run ${newest.run_id}`,
        });
        expect((await seen(node, running.run_id)).cancel).toBe(`newer run ${waiting.run_id}`);
        expect(await stateOf(node, running.run_id)).toBe("running");
        for (const { run_id } of [elsewhere, stranger, newest]) expect(await stateOf(node, run_id)).toBe("queued");
      }),
    );

    test(
      "asks a running one to stop while its node waits with a heartbeat, and leaves alone what has no issue",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ lanes: { ios: laneOf({ cancel_previous: true }) } }));
        const nameless = await queue(node, { issue_key: "", script: "other" });
        await queue(node, { issue_key: "", script: "other" });
        expect(await stateOf(node, nameless.run_id)).toBe("queued");
        await queue(node, { source: "youtrack", script: "third" });
        const running = await queue(node);
        const held = heldOf(await leased(node));
        expect(held.run_id).toBe(running.run_id);
        const heartbeat = node.renew("mac-07", [held], { ms: longWait });
        const newer = await queue(node);
        expect((await heartbeat).words).toEqual(["cancel"]);
        await node.finish(resultOf(held, "cancelled"));
        expect((await seen(node, running.run_id)).run.reason).toBe(`newer run ${newer.run_id}`);
        expect((await node.list({ limit: 9, source: "youtrack" })).runs).toMatchObject([{ state: "queued" }]);
      }),
    );

    test(
      "finds the issue's running one behind many newer runs",
      withStore(open, async ({ store, node }) => {
        const running = await queue(node);
        await leased(node);
        for (let i = 0; i < 30; i++) await queue(node, { lane: "linux" });
        await store.publish(rulesOf({ lanes: { ios: laneOf({ cancel_previous: true }) } }));
        const newer = await queue(node);
        expect((await seen(node, running.run_id)).cancel).toBe(`newer run ${newer.run_id}`);
      }),
    );

    test(
      "builds again on request as a new run, whatever the marks",
      withStore(open, async ({ node }) => {
        const task = taskOf();
        await node.accept({ task, marks: [delivery(), intent()], seen_at: seenAt });
        await node.cancel(task.run_id, "not needed");
        const again = { ...task, run_id: Bun.randomUUIDv7() };
        expect(await node.accept({ task: again, marks: [], seen_at: seenAt, retry_of: task.run_id })).toEqual({
          status: "queued",
          run_id: again.run_id,
        });
        const shown = await seen(node, again.run_id);
        expect(shown.run).toMatchObject({ state: "queued", retry_of: task.run_id, attempt: 0, lost: 0 });
        expect(shown.task).toEqual(again);
      }),
    );
  });
}
