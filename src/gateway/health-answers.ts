import { version } from "../version.ts";
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

/** Answers `/readyz` with its reasons, for the admin side only. */
export async function answerReadiness(health: Health, nodeId: string, correlation_id: string): Promise<Response> {
  const { state, failing } = await health.state();
  const body = { state, failing, mesh_node_id: nodeId, version };
  return answerJson(state === "ready" ? 200 : 503, body, correlation_id);
}
