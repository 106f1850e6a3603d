import type { z } from "zod";
import { MeshError } from "../core/error.ts";
import { type Answer, call } from "../http.ts";
import { findSocket } from "./remote/place.ts";
import * as wire from "./remote/protocol.ts";
import type { NodeStore, OperatorStore, Wait } from "./store.ts";

export interface RemoteOptions {
  /** Path of the owner's socket, as the configuration gives it. */
  socket: string;
  /** Whether to wait for an owner to appear; without it the first call says that there is none. */
  waitForOwner?: boolean;
  /** Ends the wait for an owner: the store is then opened as it is. */
  signal?: AbortSignal;
}

const patience = 10_000;
const lookAgainAfter = 250;

/**
 * Opens the store that another process of this machine owns, over its socket. Calls throw `unavailable` when no owner
 * answers, and what the owner itself threw with its kind, message and hint.
 */
export async function openRemote({
  socket,
  waitForOwner = false,
  signal,
}: RemoteOptions): Promise<NodeStore & OperatorStore> {
  if (waitForOwner) await anOwner(socket, signal);

  /** Asks one verb; a longer wait at the other end gets its time and then some. */
  async function post(verb: string, body: string | Uint8Array, type: string, wait?: Wait): Promise<Answer> {
    const answer = await call({
      method: "POST",
      url: `http://meshmac/api/v1/${verb}`,
      unix: findSocket(socket),
      headers: { "content-type": type },
      body,
      timeout_ms: patience + waitMs(wait),
      ...(wait?.signal && { signal: wait.signal }),
    }).catch((error: unknown) => {
      throw new MeshError("unavailable", `the owner of the store did not answer at ${JSON.stringify(socket)}`, {
        hint: "start it: meshmac serve",
        cause: error,
      });
    });
    if (answer.status !== 200) throw refusalIn(answer);
    return answer;
  }

  async function ask<T>(verb: string, body: unknown, said: z.ZodType<T>, wait?: Wait): Promise<T> {
    const { bytes } = await post(verb, JSON.stringify(body), "application/json", wait);
    return parse(bytes, said);
  }

  return {
    async lease(asked, wait) {
      if (wait?.signal?.aborted) return null;
      try {
        return (await ask("node/lease", { ask: asked, wait_ms: waitMs(wait) }, wire.leaseSaid, wait)).lease;
      } catch (error) {
        if (wait?.signal?.aborted) return null;
        throw error;
      }
    },
    async renew(node, held, wait) {
      const now = () => ask("node/renew", { node, held, wait_ms: 0 }, wire.renewSaid);
      if (!wait || wait.signal?.aborted) return await now();
      try {
        return await ask("node/renew", { node, held, wait_ms: waitMs(wait) }, wire.renewSaid, wait);
      } catch (error) {
        if (wait.signal?.aborted) return await now();
        throw error;
      }
    },
    async log({ node, run_id, attempt, offset, bytes, late }) {
      const where = new URLSearchParams({ node, run_id, attempt: String(attempt), offset: String(offset) });
      if (late) where.set("late", "1");
      const answer = await post(`node/log?${where}`, bytes, "application/octet-stream");
      return parse(answer.bytes, wire.logSaid).next;
    },
    finish: async (result) => (await ask("node/finish", result, wire.finishSaid)).said,
    report: async (report) => (await ask("node/report", report, wire.reportSaid)).said,

    list: (filter) => ask("operator/list", filter, wire.listSaid),
    show: async (id) => (await ask("operator/show", { id }, wire.showSaid)).shown,
    async readLog(run_id, attempt, from, limit) {
      const body = JSON.stringify({ run_id, attempt, from, limit });
      const { bytes, headers } = await post("operator/read-log", body, "application/json");
      const number = (name: string) => Number(headers.get(name) ?? from);
      return { bytes, next: number(wire.readLogHeaders.next), size: number(wire.readLogHeaders.size) };
    },
    cancel: async (run_id, why) => (await ask("operator/cancel", { run_id, why }, wire.cancelSaid)).said,
    accept: (entry) => ask("operator/accept", entry, wire.acceptSaid),
    nodes: async () => (await ask("operator/nodes", {}, wire.nodesSaid)).nodes,
    gateways: async () => (await ask("operator/gateways", {}, wire.gatewaysSaid)).gateways,
    destinations: async () => (await ask("operator/destinations", {}, wire.destinationsSaid)).destinations,
    posts: async (subject) => (await ask("operator/posts", { subject }, wire.postsSaid)).posts,
    deliveries: async (limit, outcome) =>
      (await ask("operator/deliveries", { limit, ...(outcome && { outcome }) }, wire.deliveriesSaid)).deliveries,
    close: async () => {},
  };
}

/** The other end waits no longer than this; who wants to wait longer asks again. */
const waitMs = (wait: Wait | undefined): number => Math.min(Math.max(0, Math.floor(wait?.ms ?? 0)), 60_000);

async function anOwner(socket: string, signal: AbortSignal | undefined): Promise<void> {
  for (;;) {
    if (signal?.aborted || (await isOwned(socket))) return;
    await Bun.sleep(lookAgainAfter);
  }
}

/** Says whether a process answers at the socket of this path. */
export async function isOwned(socket: string): Promise<boolean> {
  try {
    const where = { url: "http://meshmac/healthz", unix: findSocket(socket) };
    await call({ method: "GET", ...where, timeout_ms: 2000 });
    return true;
  } catch {
    return false;
  }
}

function parse<T>(bytes: Uint8Array, said: z.ZodType<T>): T {
  const parsed = said.safeParse(json(bytes));
  if (parsed.success) return parsed.data;
  throw new MeshError("unavailable", "the owner of the store answered in words this version does not know", {
    hint: "run the same meshmac version in every process",
    cause: parsed.error,
  });
}

function refusalIn({ status, bytes }: Answer): MeshError {
  const said = wire.errorSaid.safeParse(json(bytes));
  if (!said.success) return new MeshError("unavailable", `the owner of the store answered with status ${status}`);
  const { kind, error, hint } = said.data;
  return new MeshError(kind, error, hint === undefined ? {} : { hint });
}

function json(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
