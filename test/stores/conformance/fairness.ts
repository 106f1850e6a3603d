import { describe, expect, test } from "bun:test";
import type { Store } from "../../../src/stores/store.ts";
import { askOf, heldOf, laneOf, leased, leaseOf, minute, never, queue, resultOf, rulesOf } from "./given.ts";

export interface Aging {
  store: Store;
  /** Lets so much time pass for these runs, which wait. */
  pass(ms: number, ...run_ids: string[]): Promise<void>;
  close(): Promise<void>;
}

/** Runs what takes minutes of waiting against a store whose time can be moved. */
export function aging(name: string, open: () => Promise<Aging>): void {
  const withAging = (body: (given: Aging) => Promise<void>) => async () => {
    const given = await open();
    try {
      await body(given);
    } finally {
      await given.close();
    }
  };

  describe(`waiting, on ${name}`, () => {
    test(
      "a run yields to urgent ones for as many minutes as steps of priority lie between them",
      withAging(async ({ store, pass }) => {
        await store.publish(rulesOf({ lanes: { low: laneOf({ priority: -5 }), urgent: laneOf({ priority: 5 }) } }));
        const low = await queue(store, { lane: "low" });
        await pass(9 * minute, low.run_id);
        const urgent = await queue(store, { lane: "urgent" });
        expect((await leased(store, askOf({ node: "a" }))).task.run_id).toBe(urgent.run_id);
        await pass(minute + 1000, low.run_id);
        await queue(store, { lane: "urgent" });
        expect((await leased(store, askOf({ node: "b" }))).task.run_id).toBe(low.run_id);
      }),
    );

    test(
      "locks are kept for a run that needs two and has had one of them at a time free for five minutes",
      withAging(async ({ store, pass }) => {
        const lanes = {
          both: laneOf({ locks: ["signing", "simulator"] }),
          sign: laneOf({ locks: ["signing"] }),
          tests: laneOf({ locks: ["simulator"] }),
          docs: laneOf(),
        };
        await store.publish(rulesOf({ lanes, lease: leaseOf(never) }));
        const start = async (lane: string) => {
          await queue(store, { lane });
          const lease = await leased(store, askOf({ node: lane }));
          expect(lease.task.lane).toBe(lane);
          return heldOf(lease);
        };
        const finish = (held: Awaited<ReturnType<typeof start>>, lane: string) =>
          store.finish(resultOf(held, "succeeded", { mesh_node_id: lane }));

        let signing = await start("sign");
        const patient = await queue(store, { lane: "both" });
        const testing = await start("tests");
        await finish(signing, "sign");
        signing = await start("sign"); // others may still go before it
        await pass(5 * minute + 1000, patient.run_id);
        await finish(testing, "tests");
        await queue(store, { lane: "tests" });
        expect(await store.lease(askOf({ node: "tests" }))).toBeNull();
        await start("docs"); // what needs none of its locks is not held up
        await finish(signing, "sign");
        expect((await leased(store, askOf({ node: "c" }))).task.run_id).toBe(patient.run_id);
        expect((await store.show(patient.run_id))?.lock_wait_ms).toBeGreaterThan(5 * minute);
      }),
    );
  });
}
