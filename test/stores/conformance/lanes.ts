import { describe, expect, test } from "bun:test";
import type { Holder, LaneRow, LockRow } from "../../../src/stores/store.ts";
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
  until,
  withStore,
} from "./given.ts";
import type { NodeSide, Open } from "./given.ts";

const laneNamed = async (node: NodeSide, name: string): Promise<LaneRow> => {
  const row = (await node.lanes()).lanes.find(({ lane }) => lane === name);
  if (!row) throw new Error(`no lane ${name}`);
  return row;
};

const lockNamed = async (node: NodeSide, name: string): Promise<LockRow> => {
  const row = (await node.lanes()).locks.find(({ lock }) => lock === name);
  if (!row) throw new Error(`no lock ${name}`);
  return row;
};

const idOf = (holder: Holder): string => ("hold" in holder ? holder.hold : holder.run_id);

const holdOf = (over: Partial<Parameters<NodeSide["hold"]>[0]> = {}) => ({
  lock: "signing",
  token: crypto.randomUUID(),
  node: "mac-07",
  ttl_ms: 60_000,
  ...over,
});

const signing = rulesOf({ lanes: { ios: laneOf({ locks: ["signing"] }), docs: laneOf() }, locks: { signing: 1 } });

export function laneKeeping(open: Open): void {
  describe("lanes", () => {
    test(
      "that are configured anew leave a run the locks that it was leased with",
      withStore(open, async ({ store, node }) => {
        await store.publish(signing);
        const task = await queue(node);
        await leased(node, askOf({ node: "mac-07" }));
        const lanes = { ios: laneOf(), docs: laneOf({ locks: ["signing"] }) };
        await store.publish(rulesOf({ lanes, locks: { signing: 1 } }));
        await queue(node, { lane: "docs" });
        expect(await node.lease(askOf({ node: "mac-08" }))).toBeNull();
        expect((await lockNamed(node, "signing")).held.map(idOf)).toEqual([task.run_id]);
        expect((await seen(node, task.run_id)).locks).toEqual(["signing"]);
        // Nor does a run take what its lane has needed only since.
        await store.publish(rulesOf({ lanes: { ios: laneOf({ locks: ["simulator"] }) } }));
        expect((await lockNamed(node, "simulator")).held).toEqual([]);
        expect((await lockNamed(node, "signing")).held.map(idOf)).toEqual([task.run_id]);
      }),
    );

    test(
      "are shown with their rules and what they hold, by name",
      withStore(open, async ({ store, node }) => {
        const ios = laneOf({ needs: ["xcode-16", "!beta"], priority: 7, limit: 2, max_depth: 1, locks: ["signing"] });
        await store.publish(rulesOf({ lanes: { ios, docs: laneOf() }, locks: { simulator: 2, signing: 2 } }));
        const first = await queue(node, { script: "other" });
        await queue(node);
        await queue(node);
        await queue(node, { lane: "unheard-of" });
        const held = heldOf(await leased(node, askOf({ labels: ["xcode-16"], scripts: ["other"] })));
        const { lanes, locks } = await node.lanes();
        const { queued_at, started_at } = (await seen(node, first.run_id)).run;
        const oldest = lanes.map((lane) => lane.oldest_queued_at);
        expect(lanes).toEqual([
          { ...rowOf("docs"), oldest_queued_at: null },
          {
            lane: "ios",
            needs: ["xcode-16", "!beta"],
            priority: 7,
            limit: 2,
            max_depth: 1,
            locks: ["signing"],
            depth: 2,
            running: 1,
            oldest_queued_at: oldest[1] ?? null,
            paused: null,
          },
          { ...rowOf("unheard-of"), depth: 1, oldest_queued_at: oldest[2] ?? null },
        ]);
        expect(oldest[1]).toBeWithin(queued_at, queued_at + 60_000);
        expect(locks).toEqual([
          {
            lock: "signing",
            capacity: 2,
            held: [{ run_id: held.run_id, node: "mac-07", since: started_at ?? 0 }],
          },
          { lock: "simulator", capacity: 2, held: [] },
        ]);
        expect((await seen(node, held.run_id)).locks).toEqual(["signing"]);
        await node.finish(resultOf(held));
        expect((await lockNamed(node, "signing")).held).toEqual([]);
        expect((await seen(node, held.run_id)).locks).toEqual([]);
      }),
    );

    test(
      "count what came back among what waits, from when it was first queued",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf());
        const first = await queue(node);
        const held = heldOf(await leased(node));
        await queue(node);
        await node.finish(resultOf(held, "queued"));
        const { queued_at } = (await seen(node, first.run_id)).run;
        expect(await laneNamed(node, "ios")).toMatchObject({ depth: 2, running: 0, oldest_queued_at: queued_at });
      }),
    );

    test(
      "are paused for a reason that is shown, until they go on",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf());
        await node.pause("ios", "certificates\nare renewed");
        const { paused } = await laneNamed(node, "ios");
        expect(paused?.why).toBe("certificates\nare renewed");
        expect(Math.abs((paused?.at ?? 0) - Date.now())).toBeLessThan(60_000);
        await node.pause("ios", "certificates\nare renewed");
        await node.pause("constructor", "no lane at all");
        await store.publish(rulesOf());
        expect((await laneNamed(node, "ios")).paused).toEqual(paused);
        await queue(node);
        expect(await node.lease(askOf())).toBeNull();
        await node.pause("ios", "for another reason");
        expect((await laneNamed(node, "ios")).paused?.why).toBe("for another reason");
        await node.pause("ios", null);
        await node.pause("ios", null);
        expect((await laneNamed(node, "ios")).paused).toBeNull();
        expect(await node.lease(askOf())).not.toBeNull();
      }),
    );

    test(
      "of one priority take turns, however much one of them was asked for before the others",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ lanes: { flood: laneOf(), drip: laneOf(), rill: laneOf() } }));
        for (let i = 0; i < 6; i++) await queue(node, { lane: "flood" });
        for (let i = 0; i < 2; i++) await queue(node, { lane: "drip" });
        await queue(node, { lane: "rill" });
        const order: string[] = [];
        for (let i = 0; i < 9; i++) order.push((await leased(node, askOf({ node: `mac-${i}` }))).task.lane);
        expect(order.slice(0, 3).toSorted()).toEqual(["drip", "flood", "rill"]);
        expect(order.slice(3, 5).toSorted()).toEqual(["drip", "flood"]);
        expect(order.slice(5)).toEqual(["flood", "flood", "flood", "flood"]);
      }),
    );
  });

  describe("the time that a lock kept a run waiting", () => {
    test(
      "is counted from the first time a fitting node asked in vain, and kept",
      withStore(open, async ({ store, node }) => {
        await store.publish(signing);
        const [one, two] = [await queue(node), await queue(node)];
        const first = heldOf(await leased(node, askOf({ node: "a" })));
        expect(first.run_id).toBe(one.run_id);
        expect((await seen(node, two.run_id)).lock_wait_ms).toBe(0);
        expect(await node.lease(askOf({ node: "b" }))).toBeNull();
        await until(async () => (await seen(node, two.run_id)).lock_wait_ms > 20);
        await node.finish(resultOf(first, "succeeded", { mesh_node_id: "a" }));
        const second = heldOf(await leased(node, askOf({ node: "b" })));
        const waited = (await seen(node, two.run_id)).lock_wait_ms;
        expect(waited).toBeGreaterThan(20);
        await node.finish(resultOf(second, "succeeded", { mesh_node_id: "b" }));
        expect((await seen(node, two.run_id)).lock_wait_ms).toBe(waited);
        expect((await seen(node, one.run_id)).lock_wait_ms).toBe(0);
      }),
    );

    test(
      "is none where the labels, the limit or a pause kept it as well",
      withStore(open, async ({ store, node }) => {
        await store.publish(
          rulesOf({
            lanes: {
              ios: laneOf({ locks: ["signing"], limit: 1 }),
              mac: laneOf({ locks: ["signing"], needs: ["arm"] }),
            },
          }),
        );
        await queue(node);
        const behind = await queue(node);
        const unfit = await queue(node, { lane: "mac" });
        await leased(node, askOf({ node: "a" }));
        for (let i = 0; i < 3; i++) expect(await node.lease(askOf({ node: "b" }))).toBeNull();
        for (const { run_id } of [behind, unfit]) expect((await seen(node, run_id)).lock_wait_ms).toBe(0);
        // Blocked by the lock alone, then paused: the clock stops.
        expect(await node.lease(askOf({ node: "c", labels: ["arm"] }))).toBeNull();
        await until(async () => (await seen(node, unfit.run_id)).lock_wait_ms > 5);
        await node.pause("mac", "moving house");
        expect(await node.lease(askOf({ node: "c", labels: ["arm"] }))).toBeNull();
        const stopped = (await seen(node, unfit.run_id)).lock_wait_ms;
        await until(async () => Date.now() > (await seen(node, unfit.run_id)).run.queued_at + stopped + 5);
        expect((await seen(node, unfit.run_id)).lock_wait_ms).toBe(stopped);
      }),
    );
  });

  describe("a lock held from outside", () => {
    test(
      "counts against the same capacity as leases, both ways",
      withStore(open, async ({ store, node }) => {
        await store.publish({ ...signing, locks: { signing: 2 } });
        for (let i = 0; i < 3; i++) await queue(node);
        const lease = heldOf(await leased(node, askOf({ node: "a" })));
        const mine = holdOf();
        expect(await node.hold(mine)).toBe(true);
        expect(await node.lease(askOf({ node: "b" }))).toBeNull();
        expect(await node.hold(holdOf())).toBe(false);
        const { held } = await lockNamed(node, "signing");
        expect(held.map(idOf)).toEqual([lease.run_id, mine.token]);
        await node.unhold(mine.token);
        await node.unhold(mine.token);
        expect((await lockNamed(node, "signing")).held).toHaveLength(1);
      }),
    );

    test(
      "is kept by its token, and a repeat takes no second place",
      withStore(open, async ({ store, node }) => {
        await store.publish(signing);
        const mine = holdOf();
        for (let i = 0; i < 3; i++) expect(await node.hold(mine)).toBe(true);
        const { held } = await lockNamed(node, "signing");
        expect(held).toMatchObject([{ hold: mine.token, node: "mac-07" }]);
        expect(await node.hold(mine)).toBe(true);
        expect((await lockNamed(node, "signing")).held).toEqual(held);
        expect(await node.hold(holdOf({ lock: "unheard-of" }))).toBe(true);
        expect(await node.hold(holdOf({ lock: "unheard-of" }))).toBe(false);
      }),
    );

    test(
      "is gone by itself when its holder is, and who waits for a lease learns of it",
      withStore(open, async ({ store, node }) => {
        await store.publish(signing);
        expect(await node.hold(holdOf({ ttl_ms: 150 }))).toBe(true);
        const task = await queue(node);
        const waiting = node.lease(askOf(), { ms: longWait });
        expect((await waiting)?.task.run_id).toBe(task.run_id);
        expect((await lockNamed(node, "signing")).held).toMatchObject([{ run_id: task.run_id }]);
      }),
      20_000,
    );

    test(
      "wakes who waits for a lease when it is given back",
      withStore(open, async ({ store, node }) => {
        await store.publish(signing);
        const mine = holdOf();
        await node.hold(mine);
        const task = await queue(node);
        const waiting = node.lease(askOf(), { ms: longWait });
        await node.unhold(mine.token);
        expect((await waiting)?.task.run_id).toBe(task.run_id);
      }),
    );

    test(
      "goes before what is queued after it was asked for, and only before that",
      withStore(open, async ({ store, node }) => {
        await store.publish(signing);
        await queue(node);
        const before = await queue(node);
        const lease = heldOf(await leased(node, askOf({ node: "a" })));
        const { queued_at } = (await seen(node, before.run_id)).run;
        await until(async () => Date.now() > queued_at);
        const mine = holdOf();
        expect(await node.hold(mine)).toBe(false);
        const asked = Date.now();
        await until(async () => Date.now() > asked);
        const after = await queue(node);
        await node.finish(resultOf(lease, "succeeded", { mesh_node_id: "a" }));
        const second = heldOf(await leased(node, askOf({ node: "a" })));
        expect(second.run_id).toBe(before.run_id);
        expect(await node.hold(mine)).toBe(false);
        await node.finish(resultOf(second, "succeeded", { mesh_node_id: "a" }));
        expect(await node.lease(askOf({ node: "a" }))).toBeNull();
        expect(await node.hold(mine)).toBe(true);
        await node.unhold(mine.token);
        expect((await leased(node, askOf({ node: "a" }))).task.run_id).toBe(after.run_id);
      }),
      20_000,
    );

    test(
      "is wanted no more when it is given up",
      withStore(open, async ({ store, node }) => {
        await store.publish(signing);
        const [mine, other] = [holdOf(), holdOf()];
        await node.hold(mine);
        expect(await node.hold(other)).toBe(false);
        await node.unhold(other.token);
        await node.unhold(mine.token);
        await queue(node);
        expect(await node.lease(askOf())).not.toBeNull();
      }),
    );
  });

  describe("drop", () => {
    test(
      "takes a dead run from the list, and nothing else",
      withStore(open, async ({ store, node }) => {
        await store.publish(rulesOf({ lanes: { ios: laneOf({ max_lost: 1 }) }, lease: leaseOf(0) }));
        const [one, two] = [await queue(node), await queue(node)];
        expect(await node.drop(one.run_id)).toBe("not dead");
        expect(await node.drop(Bun.randomUUIDv7())).toBe("unknown");
        await leased(node);
        await leased(node);
        await store.reap();
        const dead = async (dropped?: boolean) =>
          (await node.list({ states: ["dead"], limit: 9, ...(dropped !== undefined && { dropped }) })).runs.map(
            ({ run_id }) => run_id,
          );
        expect(await dead(false)).toEqual([two.run_id, one.run_id]);
        expect(await node.drop(one.run_id)).toBe("dropped");
        expect(await node.drop(one.run_id)).toBe("dropped");
        expect([await dead(false), await dead(true)]).toEqual([[two.run_id], [one.run_id]]);
        expect(await dead()).toHaveLength(2);
        expect(await stateOf(node, one.run_id)).toBe("dead");
        // A retry says that somebody has looked at it.
        const again = Bun.randomUUIDv7();
        await node.accept({ task: { ...two, run_id: again }, marks: [], seen_at: 1, retry_of: two.run_id });
        expect(await dead(false)).toEqual([]);
      }),
    );
  });
}

const rowOf = (lane: string): LaneRow => ({
  lane,
  needs: [],
  priority: 0,
  limit: null,
  max_depth: null,
  locks: [],
  depth: 0,
  running: 0,
  oldest_queued_at: null,
  paused: null,
});
