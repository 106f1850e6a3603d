import type { z } from "zod";
import { type ErrorKind, MeshError } from "../core/error.ts";
import { type Json, parseStranger } from "../core/json.ts";
import { log } from "../log.ts";
import * as wire from "../stores/remote/protocol.ts";
import { tallyAsked } from "../stores/remote/uses.ts";
import type { Lease, LeaseAsk, NodeStore, OperatorStore } from "../stores/store.ts";
import { answerJson } from "./answer.ts";

/** One call of a verb, its body read. */
export interface Call {
  url: string;
  bytes: Uint8Array;
  /** Fires when the caller hangs up. */
  signal: AbortSignal;
}

/** Answers one verb; `closing` ends its wait when the gateway closes. */
export type Verb = (call: Call, closing: AbortSignal) => Promise<Response>;

/** The verbs of a node, as `POST /api/v1/node/<verb>`. */
export function nodeVerbs(store: NodeStore): Record<string, Verb> {
  return {
    async lease(call, closing) {
      const { ask, wait_ms } = asked(call, wire.leaseAsked);
      const lease = await store.lease(ask, { ms: wait_ms, signal: AbortSignal.any([call.signal, closing]) });
      if (lease && call.signal.aborted) await store.finish(handedBack(ask, lease));
      return said({ lease });
    },
    async renew(call, closing) {
      const { node, held, wait_ms } = asked(call, wire.renewAsked);
      const wait = { ms: wait_ms, signal: AbortSignal.any([call.signal, closing]) };
      return said(await (wait_ms > 0 ? store.renew(node, held, wait) : store.renew(node, held)));
    },
    async log({ url, bytes }) {
      const { late, ...where } = parsed(Object.fromEntries(new URL(url).searchParams), wire.logAsked);
      return said({ next: await store.log({ ...where, bytes, ...(late && { late: true }) }) });
    },
    finish: async (call) => said({ said: await store.finish(asked(call, wire.resultSchema)) }),
    report: async (call) => said({ said: await store.report(asked(call, wire.reportSchema)) }),
  };
}

/** The verbs of an operator's command, as `POST /api/v1/operator/<verb>`. */
export function operatorVerbs(store: OperatorStore): Record<string, Verb> {
  return {
    list: async (call) => said(await store.list(asked(call, wire.filterSchema))),
    show: async (call) => said({ shown: await store.show(asked(call, wire.showAsked).id) }),
    async "read-log"(call) {
      const { run_id, attempt, from, limit } = asked(call, wire.readLogAsked);
      const { bytes, next, size } = await store.readLog(run_id, attempt, from, limit);
      return new Response(bytes, {
        headers: {
          "Content-Type": "application/octet-stream",
          [wire.readLogHeaders.next]: String(next),
          [wire.readLogHeaders.size]: String(size),
        },
      });
    },
    async cancel(call) {
      const { run_id, why } = asked(call, wire.cancelAsked);
      return said({ said: await store.cancel(run_id, why) });
    },
    accept: async (call) => said(await store.accept(asked(call, wire.entrySchema))),
    drop: async (call) => said({ said: await store.drop(asked(call, wire.dropAsked).run_id) }),
    lanes: async () => said(await store.lanes()),
    async pause(call) {
      const { lane, why } = asked(call, wire.pauseAsked);
      await store.pause(lane, why);
      return said({});
    },
    hold: async (call) => said({ held: await store.hold(asked(call, wire.holdAsked)) }),
    async unhold(call) {
      await store.unhold(asked(call, wire.unholdAsked).token);
      return said({});
    },
    nodes: async () => said({ nodes: await store.nodes() }),
    async mode(call) {
      const { node, mode, why } = asked(call, wire.modeAsked);
      return said({ said: await store.mode(node, mode, why) });
    },
    async forget(call) {
      const { node, force } = asked(call, wire.forgetAsked);
      return said({ said: await store.forget(node, force) });
    },
    gateways: async () => said({ gateways: await store.gateways() }),
    uses: async () => said({ tallies: await store.uses() }),
    async tally(call) {
      const { gateway, uses } = asked(call, tallyAsked);
      await store.tally(gateway, uses);
      return said({});
    },
    destinations: async () => said({ destinations: await store.destinations() }),
    alerts: async () => said({ alerts: await store.alerts() }),
    posts: async (call) => said({ posts: await store.posts(asked(call, wire.postsAsked).subject) }),
    async deliveries(call) {
      const { limit, outcome } = asked(call, wire.deliveriesAsked);
      return said({ deliveries: await store.deliveries(limit, outcome) });
    },
  };
}

/** What hands a run back that was leased to a node which hung up before it heard of it: nothing of it counts as lost. */
const handedBack = ({ node }: LeaseAsk, { task, attempt }: Lease) => ({
  run_id: task.run_id,
  attempt,
  state: "queued" as const,
  mesh_node_id: node,
  reason: "the node hung up before it was told",
  commit: null,
  failing_target: null,
  summary: null,
  run_url: null,
  started_at: Date.now(),
  finished_at: Date.now(),
  exit_code: null,
  log_tail: [],
});

function asked<T>({ bytes }: Call, schema: z.ZodType<T>): T {
  let body: unknown;
  try {
    body = parseStranger(utf8.decode(bytes));
  } catch (error) {
    const why = error instanceof Error && !(error instanceof TypeError) ? error.message : "not UTF-8";
    throw new MeshError("data", why === "not valid JSON" ? "the body is not JSON" : `the body: ${why}`);
  }
  return parsed(body, schema);
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function parsed<T>(value: unknown, schema: z.ZodType<T>): T {
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  const [first] = error.issues;
  throw new MeshError("data", `${first?.path.join(".") || "the body"}: ${first?.message ?? "invalid"}`, {
    hint: "run the same meshmac version in every process",
  });
}

const said = (body: object): Response => Response.json(body);

const statusOf: Record<ErrorKind, number> = {
  usage: 400,
  data: 400,
  permission: 403,
  unavailable: 503,
  later: 503,
  differs: 500,
  config: 500,
  bug: 500,
};

/** Answers what a verb threw, with its kind, so that the other side can end as if it had thrown it itself. */
export function refusedVerb(error: unknown, verb: string): Response {
  const correlation_id = Bun.randomUUIDv7();
  const known = error instanceof MeshError && error.kind !== "bug";
  if (!known) log.error("verb failed", { verb, correlation_id, why: error });
  const body: Json = known
    ? { error: error.message, ...(error.hint !== undefined && { hint: error.hint }), kind: error.kind, correlation_id }
    : { error: "internal error", kind: "bug", correlation_id };
  return answerJson(known ? statusOf[error.kind] : 500, body, correlation_id);
}
