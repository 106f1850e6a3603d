import { MeshError } from "../../src/core/error.ts";
import { nearest } from "../../src/core/nearest.ts";
import type { NodeRow, OperatorStore } from "../../src/stores/store.ts";
import { plain } from "../runs/text.ts";
import { withStore } from "../runs/open.ts";

export const nodeArg = { type: "positional", description: "the node's id", required: true } as const;

/** Sets a node's mode; throws `data` for one that never asked for work. */
export async function setMode(file: string | undefined, node: string, mode: NodeRow["mode"], why: string | null) {
  await withStore(file, async (store) => {
    if ((await store.mode(node, mode, why)) === "unknown") throw await unknownNode(store, node);
  });
}

async function unknownNode(store: OperatorStore, node: string): Promise<MeshError> {
  const known = (await store.nodes()).map((row) => plain(row.node));
  const meant = nearest(node, known);
  return new MeshError("data", `no node ${JSON.stringify(node)} has asked for work`, {
    hint: meant === undefined ? "meshmac nodes list shows those that have" : `did you mean ${meant}?`,
  });
}
