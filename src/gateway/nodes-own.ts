import { MeshError } from "../core/error.ts";
import type { Held, NodeStore, OperatorStore } from "../stores/store.ts";

/**
 * The store as one node may ask it: for itself alone. Another node's name is refused with `permission`. A word about a run
 * that is leased to another is stale already; `foreign` hears of it, for no node comes by such a lease honestly.
 */
export function ownStore(
  store: NodeStore,
  known: Pick<OperatorStore, "show">,
  node: string,
  foreign: () => void,
): NodeStore {
  const check = (named: string) => {
    if (named === node) return;
    throw new MeshError("permission", `this token is of the node ${JSON.stringify(node)} and of no other`, {
      hint: "node.id and node.token belong together: meshmac nodes add makes a token for each node",
    });
  };
  const look = async ({ run_id, attempt }: Held): Promise<void> => {
    if (!wholeId.test(run_id)) return;
    const run = (await known.show(run_id))?.run;
    // Attempts are never used again: this one was leased, and not to this node.
    if (run?.attempt === attempt && run.node !== null && run.node !== node) foreign();
  };
  const judged = async <T>(said: T, held: Held): Promise<T> => {
    if (said === "stale") await look(held);
    return said;
  };

  return {
    async lease(ask, wait) {
      check(ask.node);
      return await store.lease({ ...ask, through: true }, wait);
    },
    async renew(named, held, wait) {
      check(named);
      const renewal = await store.renew(named, held, wait);
      // A worker holds no more than 64.
      for (const one of held.filter((_, i) => renewal.words[i] === "stale").slice(0, 64)) await look(one);
      return renewal;
    },
    async log(chunk) {
      check(chunk.node);
      return await judged(await store.log(chunk), chunk);
    },
    async finish(result) {
      check(result.mesh_node_id);
      return await judged(await store.finish(result), result);
    },
    async report(report) {
      check(report.mesh_node_id ?? node);
      return await store.report({ ...report, mesh_node_id: node });
    },
    close: () => store.close(),
  };
}

// `show` also finds a run by the end of its id.
const wholeId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
