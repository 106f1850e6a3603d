import type { z } from "zod";
import { type ErrorKind, MeshError } from "../core/error.ts";
import type { Json } from "../core/json.ts";
import { log } from "../log.ts";
import * as wire from "../stores/remote/protocol.ts";
import type { Lease, LeaseAsk, NodeStore, OperatorStore } from "../stores/store.ts";
import { answerJson } from "./answer.ts";

/** Answers one verb; `closing` ends its wait when the gateway closes. */
export type Verb = (request: Request, closing: AbortSignal) => Promise<Response>;

/** The verbs of a node, as `POST /api/v1/node/<verb>`. */
export function nodeVerbs(store: NodeStore): Record<string, Verb> {
  return {
    async lease(request, closing) {
      const { ask, wait_ms } = await asked(request, wire.leaseAsked);
      const lease = await store.lease(ask, { ms: wait_ms, signal: AbortSignal.any([request.signal, closing]) });
      if (lease && request.signal.aborted) await store.finish(handedBack(ask, lease));
      return said({ lease });
    },
    async renew(request, closing) {
      const { node, held, wait_ms } = await asked(request, wire.renewAsked);
      const wait = { ms: wait_ms, signal: AbortSignal.any([request.signal, closing]) };
      return said(await (wait_ms > 0 ? store.renew(node, held, wait) : store.renew(node, held)));
    },
    async log(request) {
      const { late, ...where } = parsed(Object.fromEntries(new URL(request.url).searchParams), wire.logAsked);
      const bytes = await request.bytes();
      return said({ next: await store.log({ ...where, bytes, ...(late && { late: true }) }) });
    },
    finish: async (request) => said({ said: await store.finish(await asked(request, wire.resultSchema)) }),
    report: async (request) => said({ said: await store.report(await asked(request, wire.reportSchema)) }),
  };
}

/** The verbs of an operator's command, as `POST /api/v1/operator/<verb>`. */
export function operatorVerbs(store: OperatorStore): Record<string, Verb> {
  return {
    list: async (request) => said(await store.list(await asked(request, wire.filterSchema))),
    show: async (request) => said({ shown: await store.show((await asked(request, wire.showAsked)).id) }),
    async "read-log"(request) {
      const { run_id, attempt, from, limit } = await asked(request, wire.readLogAsked);
      const { bytes, next, size } = await store.readLog(run_id, attempt, from, limit);
      return new Response(bytes, {
        headers: {
          "Content-Type": "application/octet-stream",
          [wire.readLogHeaders.next]: String(next),
          [wire.readLogHeaders.size]: String(size),
        },
      });
    },
    async cancel(request) {
      const { run_id, why } = await asked(request, wire.cancelAsked);
      return said({ said: await store.cancel(run_id, why) });
    },
    accept: async (request) => said(await store.accept(await asked(request, wire.entrySchema))),
    nodes: async () => said({ nodes: await store.nodes() }),
    gateways: async () => said({ gateways: await store.gateways() }),
    destinations: async () => said({ destinations: await store.destinations() }),
    posts: async (request) => said({ posts: await store.posts((await asked(request, wire.postsAsked)).subject) }),
    async deliveries(request) {
      const { limit, outcome } = await asked(request, wire.deliveriesAsked);
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

async function asked<T>(request: Request, schema: z.ZodType<T>): Promise<T> {
  let body: unknown;
  try {
    body = await request.json();
  } catch {
    throw new MeshError("data", "the body is not JSON");
  }
  return parsed(body, schema);
}

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
