import { MeshError } from "../core/error.ts";
import type { Json } from "../core/json.ts";
import { isOver } from "../core/records.ts";
import { retried } from "../core/retried.ts";
import type { OperatorStore } from "../stores/store.ts";
import { answerJson } from "./answer.ts";
import { maskPage } from "./log-stream.ts";
import type { Masks } from "./masked-store.ts";
import { maskedView } from "./masked-view.ts";
import { operatorVerbs, refusedVerb, type Verb } from "./verbs.ts";

// What somebody who shows the admin token may ask from another machine: what the pages show, and what an operator decides
// of runs, lanes and nodes. Nothing here makes a task that was not here before, takes a lock or speaks for a gateway.
const open = [
  "list",
  "show",
  "read-log",
  "cancel",
  "accept",
  "drop",
  "lanes",
  "pause",
  "nodes",
  "mode",
  "posts",
  "deliveries",
] as const;

const prefix = "/api/v1/operator/";

/** Whether a path of the admin side is a verb of an operator's command. */
export const isOperatorPath = (path: string): boolean => path.startsWith(prefix);

/** Answers an operator's command on another machine, in the protocol of the owner's socket. Everything is shown as the gateway shows it, logs too. */
export function adminOperator(
  store: OperatorStore,
  masks: Masks,
): (path: string, request: Request) => Promise<Response> {
  const all = operatorVerbs(adminView(store, masks));
  const verbs = new Map<string, Verb | undefined>(open.map((verb) => [prefix + verb, all[verb]]));
  const never = new AbortController().signal;
  return async (path, request) => {
    const verb = verbs.get(path);
    if (!verb) return elsewhere();
    try {
      return await verb({ url: request.url, bytes: await request.bytes(), signal: request.signal }, never);
    } catch (error) {
      return refusedVerb(error, path);
    }
  };
}

function elsewhere(): Response {
  const correlation_id = Bun.randomUUIDv7();
  const body: Json = {
    error: "this cannot be asked over the admin side",
    hint: "run it on the gateway's machine, with the configuration that names the store",
    kind: "config",
    correlation_id,
  };
  return answerJson(404, body, correlation_id);
}

function adminView(store: OperatorStore, masks: Masks): OperatorStore {
  const over: Partial<OperatorStore> = {
    async readLog(run_id, attempt, from, limit) {
      const slice = await store.readLog(run_id, attempt, from, limit);
      const page = { run_id, attempt, from, bytes: slice.bytes, masks, isWithinLine: from > 0 };
      return { ...slice, bytes: await maskPage(store, page) };
    },
    accept: async ({ task: { run_id }, retry_of }) => await acceptRetry(store, run_id, retry_of),
  };
  return { ...maskedView(store, masks), ...over };
}

/** Queues the stored task of a run anew, whatever task was handed in. */
async function acceptRetry(store: OperatorStore, run_id: string, retry_of: string | undefined) {
  if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(run_id))
    throw new MeshError("data", "the new run's id is no UUID", { hint: "run the same meshmac version everywhere" });
  const shown = retry_of === undefined ? null : await store.show(retry_of);
  if (!shown || shown.run.run_id !== retry_of)
    throw new MeshError("data", "only a run that is there can be queued again", { hint: "meshmac runs retry RUN" });
  if (!isOver(shown.run.state)) throw new MeshError("data", `run ${retry_of} is not over`, { hint: "cancel it first" });
  return await store.accept(retried(shown.task, run_id, Date.now()));
}
