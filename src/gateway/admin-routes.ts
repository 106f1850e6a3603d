import { z } from "zod";
import { explain, problemsOf } from "../config/problems.ts";
import { MeshError } from "../core/error.ts";
import type { Json } from "../core/json.ts";
import { isOver, type Run, runStates } from "../core/records.ts";
import { retried } from "../core/retried.ts";
import type { OperatorStore, Shown } from "../stores/store.ts";
import { answerError, answerJson, answerText } from "./answer.ts";
import { logStream } from "./log-stream.ts";
import type { LogMasks } from "./masked-copy.ts";
import { maskDeep } from "./masked-store.ts";
import { runPage, runsPage } from "./runs-page.ts";

export interface AdminCall {
  request: Request;
  correlation_id: string;
  /** Lets this answer take as long as it likes. */
  stay: () => void;
}

export interface Route {
  method: "GET" | "POST";
  path: RegExp;
  act: (call: AdminCall, id: string) => Promise<Response>;
}

export interface AdminRooms {
  store: OperatorStore;
  mask: (text: string) => string;
  logMasks: LogMasks;
}

const runId = "([A-Za-z0-9-]{4,64})";
const pageLength = 50;

/** Every page and call of the admin side. */
export function adminRoutes({ store, mask, logMasks }: AdminRooms): Route[] {
  const masked = (body: object): Json => maskDeep(JSON.parse(JSON.stringify(body)) as Json, mask);

  /** Gives the run that an id or the end of one names to `use`; 404 where there is none. */
  async function withRun(
    { correlation_id }: AdminCall,
    id: string,
    use: (shown: Shown) => Response | Promise<Response>,
  ): Promise<Response> {
    const shown = await store.show(id);
    return shown ? await use(shown) : answerError(404, "no such run", correlation_id);
  }

  const log = (call: AdminCall, id: string) =>
    withRun(call, id, async ({ run }) => {
      const { from, follow, attempt } = query(call.request, logQuery);
      // What this gateway cannot read is a 503 that says why; once the answer has begun only its text can.
      await store.readLog(run.run_id, attempt ?? run.attempt, from, 1);
      if (follow) call.stay();
      const wish = {
        run_id: run.run_id,
        attempt: attempt ?? null,
        from,
        follow,
        masks: logMasks,
        brokenOff: ({ message }: MeshError) => `\n[the log breaks off here: ${mask(message)}]\n`,
        signal: call.request.signal,
      };
      return answerText(200, logStream(store, wish), call.correlation_id);
    });

  return [
    {
      method: "GET",
      path: /^\/$/,
      act: async ({ correlation_id }) =>
        answerText(200, mask(runsPage((await store.list({ limit: pageLength })).runs)), correlation_id),
    },
    {
      method: "GET",
      path: new RegExp(`^/runs/${runId}$`),
      act: (call, id) => withRun(call, id, (shown) => answerText(200, mask(runPage(shown)), call.correlation_id)),
    },
    { method: "GET", path: new RegExp(`^/runs/${runId}/log$`), act: log },
    {
      method: "GET",
      path: /^\/api\/v1\/runs$/,
      act: async ({ request, correlation_id }) => {
        const { state, limit, ...rest } = query(request, listQuery);
        const filter = { ...rest, limit, ...(state && { states: state }) };
        return answerJson(200, masked(await store.list(filter)), correlation_id);
      },
    },
    {
      method: "GET",
      path: new RegExp(`^/api/v1/runs/${runId}$`),
      act: (call, id) => withRun(call, id, ({ run }) => answerJson(200, masked(run), call.correlation_id)),
    },
    { method: "GET", path: new RegExp(`^/api/v1/runs/${runId}/log$`), act: log },
    {
      method: "GET",
      path: /^\/api\/v1\/nodes$/,
      act: async ({ correlation_id }) => answerJson(200, masked({ nodes: await store.nodes() }), correlation_id),
    },
    {
      method: "GET",
      path: /^\/api\/v1\/lanes$/,
      act: async ({ correlation_id }) => answerJson(200, masked(await store.lanes()), correlation_id),
    },
    {
      method: "POST",
      path: new RegExp(`^/api/v1/runs/${runId}/cancel$`),
      act: (call, id) => withRun(call, id, ({ run }) => cancel(store, run, call)),
    },
    {
      method: "POST",
      path: new RegExp(`^/api/v1/runs/${runId}/retry$`),
      act: (call, id) => withRun(call, id, (shown) => retry(store, shown, call)),
    },
  ];
}

async function cancel(store: OperatorStore, { run_id }: Run, { correlation_id }: AdminCall): Promise<Response> {
  const said = await store.cancel(run_id, "cancelled over the admin side");
  if (said === "over") return answerError(409, "the run is over", correlation_id);
  if (said === "unknown") return answerError(404, "no such run", correlation_id);
  return answerJson(200, { run_id, cancel: said, correlation_id }, correlation_id);
}

async function retry(store: OperatorStore, { run, task }: Shown, { correlation_id }: AdminCall): Promise<Response> {
  if (!isOver(run.state)) {
    return answerError(409, "the run is not over", correlation_id, { hint: "cancel it first, or wait for its end" });
  }
  const entry = retried(task, Bun.randomUUIDv7(), Date.now());
  const { run_id } = await store.accept(entry);
  return answerJson(201, { run_id, retry_of: run.run_id, correlation_id }, correlation_id);
}

const listQuery = z.strictObject({
  state: z
    .string()
    .transform((text) => text.split(","))
    .pipe(z.array(z.enum(runStates)))
    .exactOptional(),
  lane: z.string().exactOptional(),
  source: z.string().exactOptional(),
  issue_key: z.string().exactOptional(),
  node: z.string().exactOptional(),
  since: z.coerce.number().int().min(0).exactOptional(),
  limit: z.coerce.number().int().min(1).max(200).default(pageLength),
  cursor: z.string().max(200).exactOptional(),
});

const logQuery = z.strictObject({
  from: z.coerce.number().int().min(0).default(0),
  follow: z
    .enum(["0", "1", "true", "false"])
    .transform((text) => text === "1" || text === "true")
    .default(false),
  attempt: z.coerce.number().int().min(1).exactOptional(),
});

/** Reads the query of a request; one name given several times is a list with commas. */
function query<Shape extends z.ZodRawShape>(
  request: Request,
  schema: z.ZodObject<Shape, z.core.$strict>,
): z.output<z.ZodObject<Shape, z.core.$strict>> {
  const asked: Record<string, string> = {};
  for (const [name, value] of new URL(request.url).searchParams) {
    asked[name] = Object.hasOwn(asked, name) ? `${asked[name]},${value}` : value;
  }
  const { success, data, error } = schema.safeParse(asked, { error: explain, reportInput: true });
  if (success) return data;
  const [first] = problemsOf(error.issues);
  throw new MeshError("data", `the query: ${first?.path ? `${first.path}: ` : ""}${first?.says ?? "is not valid"}`, {
    hint: `it takes ${Object.keys(schema.shape).join(", ")}`,
  });
}
