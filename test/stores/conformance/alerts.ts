import { describe, expect, test } from "bun:test";
import type { Settlement, Store } from "../../../src/stores/store.ts";
import { askOf, claimed, expandAll, heldOf, leased, minute, queue, resultOf, withStore } from "./given.ts";
import type { Given, Open } from "./given.ts";

const places = ["chat:builds", "comment:jira"];

/** Ends a run whose earlier states nobody wanted to hear; answers its id. */
async function ended(
  { store, node }: Given,
  state: "failed" | "succeeded",
  ...destinations: string[]
): Promise<string> {
  const task = await queue(store, { script: crypto.randomUUID() });
  const lease = await leased(node, askOf({ node: task.script, scripts: [task.script] }));
  await expandAll(store);
  await node.finish(resultOf(heldOf(lease), state, { mesh_node_id: task.script }));
  await expandAll(store, ...destinations);
  return task.run_id;
}

const settled = async (store: Store, destination: string, verdict: "sent" | "dead", why?: string) => {
  const { key, claim } = await claimed(store, [destination]);
  const settlement: Settlement = { key, claim, verdict, ...(why !== undefined && { why }) };
  expect(await store.settle(settlement)).toBe("ok");
};

export function alerting(open: Open): void {
  describe("unheard", () => {
    test(
      "knows the failed states that nobody has taken, newest first, and why",
      withStore(open, async (given) => {
        const { store } = given;
        const first = await ended(given, "failed", ...places);
        await settled(store, "chat:builds", "dead", "status 403");
        const second = await ended(given, "failed", "chat:builds");
        await ended(given, "succeeded", ...places);
        const found = await store.unheard(0, 10);
        expect(found.map(({ subject, state }) => [subject, state])).toEqual([
          [second, "failed"],
          [first, "failed"],
        ]);
        expect(found[1]?.posts).toEqual([
          { destination: "chat:builds", status: "dead", why: "status 403" },
          { destination: "comment:jira", status: "waiting", why: null },
        ]);
        expect(found[1]?.announcement).toMatchObject({ issue_key: "MOB-12", state: "failed" });
        expect(found[1]?.since).toBeGreaterThan(0);
        expect((await store.unheard(0, 1)).map(({ subject }) => subject)).toEqual([second]);
        expect(await store.unheard(minute, 10)).toEqual([]);
      }),
    );

    test(
      "counts a state as heard when one destination has taken it",
      withStore(open, async (given) => {
        const { store } = given;
        await ended(given, "failed", ...places);
        await settled(store, "chat:builds", "dead", "status 403");
        expect(await store.unheard(0, 10)).toHaveLength(1);
        await settled(store, "comment:jira", "sent");
        expect(await store.unheard(0, 10)).toEqual([]);
      }),
    );

    test(
      "keeps what every destination has given up",
      withStore(open, async (given) => {
        const { store } = given;
        const subject = await ended(given, "failed", "chat:builds");
        await settled(store, "chat:builds", "dead", "status 404");
        expect(await store.unheard(0, 10)).toMatchObject([{ subject, posts: [{ status: "dead", why: "status 404" }] }]);
      }),
    );
  });
}
