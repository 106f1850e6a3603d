import { MeshError } from "../../src/core/error.ts";
import { nearest } from "../../src/core/nearest.ts";
import type { OperatorStore } from "../../src/stores/store.ts";

export const laneArg = { type: "positional", description: "name of the lane", required: true } as const;

/** Throws `data` where the store knows no such lane, with the nearest name. */
export async function knownLane(store: OperatorStore, lane: string): Promise<void> {
  const { lanes } = await store.lanes();
  known(
    "lane",
    lane,
    lanes.map((row) => row.lane),
  );
}

/** Throws `data` where the store knows no such lock, with the nearest name. */
export async function knownLock(store: OperatorStore, lock: string): Promise<void> {
  const { locks } = await store.lanes();
  known(
    "lock",
    lock,
    locks.map((row) => row.lock),
  );
}

function known(what: string, name: string, names: string[]): void {
  if (names.includes(name)) return;
  const meant = nearest(name, names);
  throw new MeshError("data", `no ${what} ${JSON.stringify(name)}`, {
    hint: meant === undefined ? "meshmac lanes list shows what there is" : `did you mean ${meant}?`,
  });
}
