import { describe, expect, test } from "bun:test";
import {
  askOf,
  heldOf,
  laneOf,
  leased,
  leaseOf,
  longWait,
  queue,
  resultOf,
  rulesOf,
  seen,
  stateOf,
  withStore,
} from "./given.ts";
import type { Open } from "./given.ts";

export function leasing(open: Open): void {
  describe("lease", () => {
    test(
      "gives the task, its attempt, its times and its page",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf());
        const task = await queue(node);
        expect(await node.lease(askOf())).toEqual({
          task,
          attempt: 1,
          ttl_ms: 90_000,
          heartbeat_ms: 20_000,
          fence_ms: 60_000,
          timeout_ms: 2_700_000,
          log_limit: 64 * 1024 * 1024,
          run_url: `https://builds.example/runs/${task.run_id}`,
        });
        expect((await seen(node, task.run_id)).run).toMatchObject({ state: "running", node: "mac-07", attempt: 1 });
      }),
    );

    test(
      "leases a lane that nobody configured by the defaults, and knows no page without an admin side",
      withStore(open, async ({ store, node }) => {
        await queue(node, { lane: "unheard-of" });
        expect(await leased(node)).toMatchObject({ attempt: 1, ttl_ms: 90_000, run_url: null });
        await store.publish(rulesOf({ admin_url: null }));
        await queue(node, { lane: "unheard-of" });
        expect(await leased(node, askOf({ node: "mac-08" }))).toMatchObject({ attempt: 1, run_url: null });
      }),
    );

    test(
      "answers the same lease to the same token",
      withStore(open, async ({ node }) => {
        await queue(node);
        await queue(node);
        const ask = askOf();
        const lease = await leased(node, ask);
        expect(await node.lease(ask)).toEqual(lease);
        expect(await node.lease({ ...ask, holding: [heldOf(lease)] })).toEqual(lease);
      }),
    );

    test(
      "gives one run to one of many nodes",
      withStore(open, async ({ node }) => {
        await queue(node);
        const asks = Array.from({ length: 20 }, (_, i) => node.lease(askOf({ node: `mac-${i}` })));
        expect((await Promise.all(asks)).filter(Boolean)).toHaveLength(1);
      }),
    );

    test.each([
      [["xcode-16"], ["xcode-16", "arm64"], true],
      [["xcode-16"], ["xcode-15"], false],
      [["xcode-16", "arm64"], ["xcode-16"], false],
      [["!beta"], [], true],
      [["!beta"], ["beta"], false],
      [["xcode-16", "!beta"], ["xcode-16", "beta"], false],
      [["*"], [], true],
      [["*"], ["anything"], true],
      [[], ["anything"], true],
    ])("a lane that needs %j and a node with %j: %p", (needs, labels, fits) =>
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ lanes: { ios: laneOf({ needs }) } }));
        await queue(node);
        expect((await node.lease(askOf({ labels }))) !== null).toBe(fits);
      })(),
    );

    test(
      "passes over a run whose script the node lacks",
      withStore(open, async ({ node }) => {
        await queue(node, { script: "notarize" });
        const task = await queue(node, { script: "build-ios" });
        expect((await leased(node)).task.run_id).toBe(task.run_id);
        expect(await node.lease(askOf({ node: "mac-08" }))).toBeNull();
        expect(await node.lease(askOf({ node: "mac-09", scripts: [] }))).toBeNull();
      }),
    );

    test(
      "holds a lane to its limit",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ lanes: { ios: laneOf({ limit: 2 }) } }));
        for (let i = 0; i < 3; i++) await queue(node);
        const first = await leased(node, askOf({ node: "a" }));
        await leased(node, askOf({ node: "b" }));
        expect(await node.lease(askOf({ node: "c" }))).toBeNull();
        await node.finish(resultOf(heldOf(first), "failed", { mesh_node_id: "a" }));
        expect(await node.lease(askOf({ node: "c" }))).not.toBeNull();
      }),
    );

    test(
      "counts a lock over every lane that needs it, and frees it with the lease",
      withStore(open, async ({ store, node }) => {
        const lanes = {
          ios: laneOf({ locks: ["signing", "simulator"], priority: 1000 }),
          mac: laneOf({ locks: ["simulator"], priority: 500 }),
          docs: laneOf({ priority: -1000 }),
        };
        await store.publish(rulesOf({ lanes, locks: { simulator: 2 } }));
        for (const lane of ["ios", "ios", "mac", "mac", "docs"]) await queue(node, { lane });
        const first = await leased(node, askOf({ node: "a" }));
        expect(first.task.lane).toBe("ios"); // signing 1 of 1, simulator 1 of 2
        expect((await leased(node, askOf({ node: "b" }))).task.lane).toBe("mac"); // simulator 2 of 2
        expect((await leased(node, askOf({ node: "c" }))).task.lane).toBe("docs");
        expect(await node.lease(askOf({ node: "d" }))).toBeNull();
        await node.finish(resultOf(heldOf(first), "succeeded", { mesh_node_id: "a" }));
        expect((await leased(node, askOf({ node: "d" }))).task.lane).toBe("ios");
      }),
    );

    test(
      "leases nothing from a paused lane until it goes on, whatever is published meanwhile",
      withStore(open, async ({ store, node }) => {
        await queue(node);
        await store.pause("ios", "certificates are being renewed");
        await store.pause("ios", "certificates are being renewed");
        await store.publish(rulesOf());
        expect(await node.lease(askOf())).toBeNull();
        await store.pause("ios", null);
        expect(await node.lease(askOf())).not.toBeNull();
      }),
    );

    test(
      "takes the lane of the higher priority first",
      withStore(open, async ({ store, node }) => {
        await store.publish(
          rulesOf({ lanes: { slow: laneOf({ priority: -5 }), ios: laneOf(), urgent: laneOf({ priority: 10 }) } }),
        );
        for (const lane of ["slow", "ios", "urgent"]) await queue(node, { lane });
        const order: string[] = [];
        for (const name of ["a", "b", "c"]) order.push((await leased(node, askOf({ node: name }))).task.lane);
        expect(order).toEqual(["urgent", "ios", "slow"]);
      }),
    );

    test(
      "is first in, first out within a lane, but what was handed back or lost goes first",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf());
        const [one, two, three] = [await queue(node), await queue(node), await queue(node)];
        const first = await leased(node, askOf({ node: "a" }));
        expect(first.task.run_id).toBe(one.run_id);
        await node.finish(resultOf(heldOf(first), "queued", { mesh_node_id: "a" }));
        expect(await leased(node, askOf({ node: "b" }))).toMatchObject({ task: { run_id: one.run_id }, attempt: 2 });
        await store.publish(rulesOf({ lease: leaseOf(0) }));
        expect((await leased(node, askOf({ node: "c" }))).task.run_id).toBe(two.run_id);
        await store.publish(rulesOf());
        expect(await leased(node, askOf({ node: "d" }))).toMatchObject({ task: { run_id: two.run_id }, attempt: 2 });
        expect((await leased(node, askOf({ node: "e" }))).task.run_id).toBe(three.run_id);
      }),
    );

    test(
      "gives what came back before an older run that nobody has had",
      withStore(open, async ({ node }) => {
        await queue(node, { script: "notarize" });
        const returned = await queue(node);
        const held = heldOf(await leased(node));
        expect(held.run_id).toBe(returned.run_id);
        await node.finish(resultOf(held, "queued"));
        expect((await leased(node, askOf({ scripts: ["notarize", "build-ios"] }))).task.run_id).toBe(returned.run_id);
      }),
    );

    test(
      "leaves alone what a worker of the same name leased in another place, until that lease runs out",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ lease: { ttl_ms: 3000, heartbeat_ms: 500, fence_ms: 2000 } }));
        await queue(node);
        const held = heldOf(await leased(node, askOf({ token: `here.${crypto.randomUUID()}` })));
        expect(await node.lease(askOf({ token: `there.${crypto.randomUUID()}` }))).toBeNull();
        expect((await node.renew("mac-07", [held])).words).toEqual(["ok"]);
        expect((await seen(node, held.run_id)).run).toMatchObject({ state: "running", lost: 0 });
        // The same place again is the same worker, started anew.
        const again = await leased(node, askOf({ token: `here.${crypto.randomUUID()}` }));
        expect(heldOf(again)).toEqual({ ...held, attempt: 2 });
      }),
    );

    test(
      "takes back at once what a node neither holds nor asks for, and counts it as lost",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ lanes: { ios: laneOf({ max_lost: 2 }) } }));
        await queue(node);
        await queue(node);
        const kept = await leased(node);
        const forgotten = await leased(node, askOf({ holding: [heldOf(kept)] }));
        const again = await leased(node, askOf({ holding: [heldOf(kept)] }));
        expect(heldOf(again)).toEqual({ run_id: forgotten.task.run_id, attempt: 2 });
        expect((await seen(node, again.task.run_id)).run.lost).toBe(1);
        // The attempt counts too: holding the one before is not holding this one.
        expect(await node.lease(askOf({ holding: [heldOf(kept), heldOf(forgotten)] }))).toBeNull();
        expect((await seen(node, again.task.run_id)).run).toMatchObject({
          state: "dead",
          lost: 2,
          reason: "lost 2 times",
        });
        expect(await stateOf(node, kept.task.run_id)).toBe("running");
      }),
    );

    test(
      "leaves the runs of other nodes alone",
      withStore(open, async ({ node }) => {
        const task = await queue(node);
        await leased(node, askOf({ node: "a" }));
        expect(await node.lease(askOf({ node: "b" }))).toBeNull();
        expect(await stateOf(node, task.run_id)).toBe("running");
      }),
    );

    test(
      "gives a run whose lease ran out to the next node that asks",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ lease: leaseOf(0) }));
        const task = await queue(node);
        await leased(node, askOf({ node: "a" }));
        expect(await leased(node, askOf({ node: "b" }))).toMatchObject({ task: { run_id: task.run_id }, attempt: 2 });
        expect((await seen(node, task.run_id)).run).toMatchObject({ node: "b", lost: 1 });
      }),
    );

    test(
      "remembers what the node said of itself",
      withStore(open, async ({ node }) => {
        const task = await queue(node);
        const ask = askOf({ labels: ["xcode-16"] });
        await leased(node, ask);
        await node.lease(askOf({ node: "mac-08", scripts: [] }));
        const rows = (await node.nodes()).toSorted((a, b) => a.node.localeCompare(b.node));
        expect(rows).toMatchObject([
          {
            node: "mac-07",
            facts: ask.facts,
            mode: "active",
            why: null,
            running: [{ run_id: task.run_id, attempt: 1 }],
          },
          { node: "mac-08", running: [] },
        ]);
        expect(Math.abs((rows[0]?.last_seen ?? 0) - Date.now())).toBeLessThan(60_000);
      }),
    );
  });

  describe("a waiting lease", () => {
    test(
      "wakes on an accept",
      withStore(open, async ({ node }) => {
        const waiting = node.lease(askOf(), { ms: longWait });
        const task = await queue(node);
        expect((await waiting)?.task.run_id).toBe(task.run_id);
      }),
    );

    test(
      "wakes on a finish that frees a lock",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ lanes: { ios: laneOf({ locks: ["signing"] }) } }));
        await queue(node);
        const second = await queue(node);
        const first = await leased(node, askOf({ node: "a" }));
        const waiting = node.lease(askOf({ node: "b" }), { ms: longWait });
        await node.finish(resultOf(heldOf(first), "succeeded", { mesh_node_id: "a" }));
        expect((await waiting)?.task.run_id).toBe(second.run_id);
      }),
    );

    test(
      "wakes when a paused lane goes on, and when a publish opens one",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ lanes: { ios: laneOf({ needs: ["xcode-16"] }) } }));
        await store.pause("ios", "moving house");
        await queue(node);
        await queue(node);
        const paused = node.lease(askOf({ node: "a", labels: ["xcode-16"] }), { ms: longWait });
        await store.pause("ios", null);
        expect(await paused).not.toBeNull();
        const unfit = node.lease(askOf({ node: "b" }), { ms: longWait });
        await store.publish(rulesOf());
        expect(await unfit).not.toBeNull();
      }),
    );

    test(
      "wakes when somebody's lease runs out",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ lease: leaseOf(150) }));
        const task = await queue(node);
        await leased(node, askOf({ node: "a" }));
        const waiting = node.lease(askOf({ node: "b" }), { ms: longWait });
        expect(await waiting).toMatchObject({ task: { run_id: task.run_id }, attempt: 2 });
      }),
      20_000,
    );

    test(
      "gives each of many waiting nodes its own run",
      withStore(open, async ({ node }) => {
        const waiting = Array.from({ length: 10 }, (_, i) => node.lease(askOf({ node: `mac-${i}` }), { ms: longWait }));
        const tasks = await Promise.all(Array.from({ length: 10 }, () => queue(node)));
        const got = (await Promise.all(waiting)).map((lease) => lease?.task.run_id);
        expect(got.toSorted()).toEqual(tasks.map(({ run_id }) => run_id).toSorted());
      }),
      20_000,
    );

    test(
      "answers null when its time is over, and at once when its signal fires",
      withStore(open, async ({ node }) => {
        expect(await node.lease(askOf(), { ms: 1 })).toBeNull();
        const impatient = new AbortController();
        const waiting = node.lease(askOf({ node: "mac-08" }), { ms: longWait, signal: impatient.signal });
        impatient.abort();
        expect(await waiting).toBeNull();
      }),
    );
  });
}
