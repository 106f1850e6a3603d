import { version } from "../version.ts";
import type { LaneRow, Store } from "../stores/store.ts";
import { answerJson } from "./answer.ts";
import type { Health } from "./health.ts";

/** What supervisors and proxies ask, on every side. */
export const healthPaths = ["/healthz", "/readyz", "/startupz"];

/** Answers a health path: can a delivery be taken, should new ones come here, has it started. Says no more than that. */
export async function answerHealth(path: string, health: Health, correlation_id: string): Promise<Response> {
  const good = path === "/healthz" ? await health.writable() : await isReady(path, health);
  return answerJson(good ? 200 : 503, { status: good ? "ok" : "unavailable" }, correlation_id);
}

async function isReady(path: string, health: Health): Promise<boolean> {
  // Started is whoever has looked at its store once; a Redis that is down does not make a supervisor start us over.
  if (path === "/startupz") return health.last !== "warming";
  return (await health.state()).state === "ready";
}

export interface ReadinessFacts {
  node: string;
  notes: string[];
  store: Pick<Store, "destinations" | "lanes">;
  /** Hides secrets in what an operator wrote. */
  mask: (text: string) => string;
}

/** Answers `/readyz` with its reasons, for the admin side only. `notes` are for people, and no reason to be taken out of service. */
export async function answerReadiness(
  health: Health,
  { node, notes, store, mask }: ReadinessFacts,
  correlation_id: string,
): Promise<Response> {
  const { state, failing } = await health.state();
  const found = state === "ready" ? await Promise.all([closedDestinations(store), heldUpLanes(store, mask)]) : [];
  const body = { state, failing, notes: [...notes, ...found.flat()], mesh_node_id: node, version };
  return answerJson(state === "ready" ? 200 : 503, body, correlation_id);
}

async function closedDestinations(store: Pick<Store, "destinations">): Promise<string[]> {
  const destinations = await store.destinations().catch(() => []);
  return destinations
    .filter(({ circuit }) => circuit !== "closed")
    .map(({ name, why, waiting }) => `${name} is not sent to: ${why ?? "its tries failed"} (${waiting} waiting)`);
}

async function heldUpLanes(store: Pick<Store, "lanes">, mask: (text: string) => string): Promise<string[]> {
  const { lanes } = await store.lanes().catch(() => ({ lanes: [] }));
  return lanes.flatMap(findingsOf).map(mask);
}

/** What people must know of a lane: that it is paused, that more wait than it was meant to hold. */
export function findingsOf({
  lane,
  depth,
  max_depth,
  paused,
}: Pick<LaneRow, "lane" | "depth" | "max_depth" | "paused">): string[] {
  return [
    ...(paused ? [`lane ${lane} is paused: ${paused.why} (${depth} waiting)`] : []),
    ...(max_depth !== null && depth > max_depth
      ? [`lane ${lane} is too deep: ${depth} waiting, max_depth is ${max_depth}`]
      : []),
  ];
}
