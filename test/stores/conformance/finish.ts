import { describe, expect, test } from "bun:test";
import {
  askOf,
  heldOf,
  laneOf,
  leased,
  leaseOf,
  queue,
  resultOf,
  rulesOf,
  seen,
  stateOf,
  told,
  withStore,
  reportOf,
} from "./given.ts";
import type { Open } from "./given.ts";

export function finishing(open: Open): void {
  describe("finish", () => {
    test.each(["succeeded", "failed", "cancelled"] as const)("ends a run as %s, once", (state) =>
      withStore(open, async ({ store, node }) => {
        await queue(node);
        const held = heldOf(await leased(node));
        const result = resultOf(held, state, { reason: "timed_out", failing_target: "AppTests/testLogin" });
        expect(await node.finish(result)).toBe("ok");
        expect(await node.finish(result)).toBe("ok");
        const shown = await seen(node, held.run_id);
        expect(shown.run).toMatchObject({
          state,
          reason: "timed_out",
          node: "mac-07",
          attempt: 1,
          lost: 0,
          exit_code: result.exit_code,
          commit: result.commit,
          failing_target: "AppTests/testLogin",
        });
        expect(shown.run.ended_at).not.toBeNull();
        expect(shown.result).toEqual(result);
        expect(await told(store, held.run_id)).toEqual(["queued", "running", state]);
      })(),
    );

    test(
      "refuses another node, another attempt and an unknown run",
      withStore(open, async ({ node }) => {
        await queue(node);
        const held = heldOf(await leased(node));
        expect(await node.finish(resultOf(held, "failed", { mesh_node_id: "mac-08" }))).toBe("stale");
        expect(await node.finish(resultOf({ ...held, attempt: 2 }))).toBe("stale");
        expect(await node.finish(resultOf({ ...held, run_id: Bun.randomUUIDv7() }))).toBe("stale");
        expect(await stateOf(node, held.run_id)).toBe("running");
      }),
    );

    test(
      "hands a run back without counting it as lost; the next lease is a new attempt",
      withStore(open, async ({ store, node }) => {
        await queue(node);
        const first = heldOf(await leased(node));
        expect(await node.finish(resultOf(first, "queued"))).toBe("ok");
        expect(await node.finish(resultOf(first, "queued"))).toBe("ok");
        expect((await seen(node, first.run_id)).run).toMatchObject({
          state: "queued",
          lost: 0,
          node: null,
          ended_at: null,
        });
        const second = heldOf(await leased(node, askOf({ node: "mac-08" })));
        expect(second).toEqual({ run_id: first.run_id, attempt: 2 });
        expect(await node.finish(resultOf(first, "queued"))).toBe("ok");
        expect(await stateOf(node, first.run_id)).toBe("running");
        expect(await told(store, first.run_id)).toEqual(["queued", "running", "running"]);
      }),
    );

    test(
      "ends a run that is handed back after a cancel was asked",
      withStore(open, async ({ node }) => {
        await queue(node);
        const held = heldOf(await leased(node));
        await node.cancel(held.run_id, "not needed");
        expect(await node.finish(resultOf(held, "queued"))).toBe("ok");
        expect((await seen(node, held.run_id)).run).toMatchObject({ state: "cancelled", reason: "not needed" });
      }),
    );

    test(
      "says why a run was cancelled when the node does not",
      withStore(open, async ({ node }) => {
        await queue(node);
        const held = heldOf(await leased(node));
        await node.cancel(held.run_id, "not needed");
        await node.finish(resultOf(held, "cancelled"));
        expect((await seen(node, held.run_id)).run).toMatchObject({ state: "cancelled", reason: "not needed" });
      }),
    );

    test(
      "counts when it comes after the lease ran out but before anybody took it back",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ lease: leaseOf(0) }));
        await queue(node);
        const held = heldOf(await leased(node));
        expect(await node.finish(resultOf(held))).toBe("ok");
        expect(await store.reap()).toBe(0);
        expect((await seen(node, held.run_id)).run).toMatchObject({ state: "succeeded", lost: 0 });
      }),
    );

    test(
      "is stale once the run was taken back, also before it is leased again",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ lease: leaseOf(0) }));
        await queue(node);
        const held = heldOf(await leased(node));
        expect(await store.reap()).toBe(1);
        expect(await node.finish(resultOf(held))).toBe("stale");
        await store.publish(rulesOf());
        const second = heldOf(await leased(node));
        expect(await node.finish(resultOf(held))).toBe("stale");
        expect(await node.finish(resultOf(second, "failed"))).toBe("ok");
        expect((await seen(node, held.run_id)).run).toMatchObject({ state: "failed", attempt: 2, lost: 1 });
      }),
    );
  });

  describe("reap", () => {
    test(
      "queues a lost run again, and lets it die after max_lost",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ lanes: { ios: laneOf({ max_lost: 3 }) }, lease: leaseOf(0) }));
        const { run_id } = await queue(node);
        for (const [lost, state] of [
          [1, "queued"],
          [2, "queued"],
          [3, "dead"],
        ] as const) {
          await leased(node);
          expect(await store.reap()).toBe(1);
          expect(await store.reap()).toBe(0);
          expect((await seen(node, run_id)).run).toMatchObject({ state, lost, attempt: lost });
        }
        expect((await seen(node, run_id)).run).toMatchObject({ reason: "lost 3 times", node: "mac-07" });
        expect(await node.lease(askOf())).toBeNull();
        expect(await told(store, run_id)).toEqual(["queued", "running", "running", "running", "dead"]);
      }),
    );

    test(
      "ends a lost run that somebody wanted to cancel",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ lease: leaseOf(0) }));
        const { run_id } = await queue(node);
        await leased(node);
        await node.cancel(run_id, "not needed");
        expect(await store.reap()).toBe(1);
        expect((await seen(node, run_id)).run).toMatchObject({ state: "cancelled", reason: "not needed" });
        expect(await told(store, run_id)).toEqual(["queued", "running", "cancelled"]);
      }),
    );

    test(
      "leaves a lease that still runs",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf());
        await queue(node);
        await leased(node);
        expect(await store.reap()).toBe(0);
      }),
    );
  });

  describe("report", () => {
    test(
      "tells each state of a foreign build once",
      withStore(open, async ({ store, node }) => {
        expect(await node.report(reportOf({ state: "failed" }))).toBe("new");
        expect(await node.report(reportOf({ state: "failed" }))).toBe("seen");
        expect(await node.report(reportOf())).toBe("new");
        expect(await node.report(reportOf({ source: "gitlab" }))).toBe("new");
        expect(await node.report(reportOf({ provider_run_id: "78" }))).toBe("new");
        const events = await store.events(10);
        expect(events.map(({ subject, seq, state }) => [subject, seq, state])).toEqual([
          ["github/77", 1, "failed"],
          ["github/77", 2, "succeeded"],
          ["gitlab/77", 1, "succeeded"],
          ["github/78", 1, "succeeded"],
        ]);
        expect(events[0]).toMatchObject({
          task: null,
          report: reportOf({ state: "failed" }),
          node: "mac-07",
          result: null,
        });
        await node.report(reportOf({ provider_run_id: "79", chats: ["builds"] }));
        expect((await store.events(10)).at(-1)?.report).toEqual(reportOf({ provider_run_id: "79", chats: ["builds"] }));
      }),
    );
  });
}
