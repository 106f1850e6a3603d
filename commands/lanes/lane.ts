import { MeshError } from "../../src/core/error.ts";
import { nearest } from "../../src/core/nearest.ts";
import type { OperatorStore } from "../../src/stores/store.ts";

export const laneArg = { type: "positional", description: "name of the lane", required: true } as const;

/** Throws `data` where the store knows no such lane, with the nearest name. */
export async function knownLane(store: OperatorStore, lane: string): Promise<void> {
  const names = (await store.lanes()).lanes.map((row) => row.lane);
  if (names.includes(lane)) return;
  const meant = nearest(lane, names);
  throw new MeshError("data", `no lane ${JSON.stringify(lane)}`, {
    hint: meant === undefined ? "meshmac lanes list shows what there is" : `did you mean ${meant}?`,
  });
}
