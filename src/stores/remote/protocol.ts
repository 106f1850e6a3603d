import { z } from "zod";
import { usualLogLimit } from "../../core/log-bounds.ts";
import { exitStatus } from "../../core/error.ts";
import type { DeliveryNote, Mark, NodeFacts, Report, Result, Run, Task } from "../../core/records.ts";
import { endStates, runStates } from "../../core/records.ts";
import type {
  Accepted,
  AlertRow,
  Entry,
  Filter,
  GatewayRow,
  Held,
  HoldAsk,
  Holder,
  LaneRow,
  Lanes,
  Lease,
  LeaseAsk,
  LockRow,
  NodeRow,
  PostRow,
  Renewal,
  Shown,
  DestinationRow,
} from "../store.ts";

// The verbs of nodes and operators as JSON over HTTP: `POST /api/v1/node/<verb>`, `POST /api/v1/operator/<verb>`. Both sides
// parse with these schemas; keys that a newer side sends and this one does not know are dropped.

const id = z.string().min(1).max(200);
const time = z.number();
const count = z.int().min(0);
const maybe = <T extends z.ZodType>(inner: T) => inner.nullable();

export const taskSchema: z.ZodType<Task> = z.object({
  v: z.literal(1),
  run_id: id,
  source: z.string(),
  issue_key: z.string(),
  issue_id: z.string(),
  issue_url: maybe(z.string()),
  project: z.string(),
  transition_id: z.string(),
  summary: z.string(),
  requested_by: z.string(),
  repo_url: z.string(),
  ref: z.string(),
  script: z.string(),
  lane: z.string(),
  params: z.record(z.string(), z.string()),
  timeout_s: z.number(),
  idempotency_key: z.string(),
  correlation_id: z.string(),
  accepted_at: time,
});

const held: z.ZodType<Held> = z.object({ run_id: id, attempt: count });
const facts: z.ZodType<NodeFacts> = z
  .object({
    version: z.string(),
    os: z.string(),
    labels: z.array(z.string()),
    scripts: z.array(z.string()),
    concurrency: count,
  })
  .catchall(z.json());

/** Longer waits are asked for again: what stands between may cut a silent connection. */
const wait_ms = z.int().min(0).max(60_000).default(0);

const ask: z.ZodType<LeaseAsk> = z.object({ node: id, facts, token: id, holding: z.array(held) });
export const leaseAsked = z.object({ ask, wait_ms });
export const renewAsked = z.object({ node: id, held: z.array(held), wait_ms });
export const logAsked = z.object({
  node: id,
  run_id: id,
  attempt: z.coerce.number().int().min(0),
  offset: z.coerce.number().int().min(0),
  late: z.literal("1").optional(),
});

export const resultSchema: z.ZodType<Result> = z.object({
  run_id: id,
  attempt: count,
  state: z.enum(["succeeded", "failed", "cancelled", "queued"]),
  mesh_node_id: id,
  reason: maybe(z.string()),
  commit: maybe(z.string()),
  failing_target: maybe(z.string()),
  summary: maybe(z.string()),
  run_url: maybe(z.string()),
  started_at: time,
  finished_at: time,
  exit_code: maybe(z.int()),
  log_tail: z.array(z.string()),
});

export const reportSchema: z.ZodType<Report> = z.object({
  source: id,
  workflow: z.string(),
  state: z.enum(endStates).exclude(["dead"]),
  branch: z.string(),
  commit: maybe(z.string()),
  run_url: maybe(z.string()),
  mesh_node_id: maybe(z.string()),
  provider_run_id: id,
  failing_target: maybe(z.string()),
  chats: z.array(id).max(1000).exactOptional(),
});

const lease: z.ZodType<Lease> = z.object({
  task: taskSchema,
  attempt: count,
  ttl_ms: time,
  heartbeat_ms: time,
  fence_ms: time,
  timeout_ms: time,
  log_limit: count.default(usualLogLimit),
  run_url: maybe(z.string()),
});
export const leaseSaid = z.object({ lease: maybe(lease) });
export const renewSaid: z.ZodType<Renewal> = z.object({
  words: z.array(z.enum(["ok", "cancel", "stale"])),
  forgotten: z.array(held),
});
export const logSaid = z.object({ next: z.union([count, z.literal("stale")]) });
export const finishSaid = z.object({ said: z.enum(["ok", "stale"]) });
export const reportSaid = z.object({ said: z.enum(["new", "seen"]) });

export const filterSchema: z.ZodType<Filter> = z.object({
  states: z.array(z.enum(runStates)).exactOptional(),
  lane: z.string().exactOptional(),
  source: z.string().exactOptional(),
  issue_key: z.string().exactOptional(),
  node: z.string().exactOptional(),
  since: time.exactOptional(),
  dropped: z.boolean().exactOptional(),
  limit: z.int().min(1).max(1000),
  cursor: z.string().exactOptional(),
});

const run: z.ZodType<Run> = z.object({
  run_id: id,
  state: z.enum(runStates),
  reason: maybe(z.string()),
  source: z.string(),
  issue_key: z.string(),
  project: z.string(),
  summary: z.string(),
  requested_by: z.string(),
  lane: z.string(),
  script: z.string(),
  repo_url: z.string(),
  ref: z.string(),
  node: maybe(z.string()),
  attempt: count,
  lost: count,
  queued_at: time,
  started_at: maybe(time),
  ended_at: maybe(time),
  exit_code: maybe(z.int()),
  commit: maybe(z.string()),
  failing_target: maybe(z.string()),
  run_url: maybe(z.string()),
  retry_of: maybe(z.string()),
});
export const listSaid = z.object({ runs: z.array(run), next: maybe(z.string()) });

const postRow: z.ZodType<PostRow> = z.object({
  destination: z.string(),
  state: z.enum(runStates),
  status: z.enum(["waiting", "sending", "sent", "replaced", "dead"]),
  tries: count,
  unsure: z.boolean(),
  why: maybe(z.string()),
  at: time,
});
const shown: z.ZodType<Shown> = z.object({
  run,
  task: taskSchema,
  result: maybe(resultSchema),
  posts: z.array(postRow),
  cancel: maybe(z.string()),
  locks: z.array(z.string()),
  lock_wait_ms: z.number(),
});
export const showAsked = z.object({ id });
export const showSaid = z.object({ shown: maybe(shown) });

const destinationRow: z.ZodType<DestinationRow> = z.object({
  name: id,
  paused_until: maybe(time),
  failures: count,
  circuit: z.enum(["closed", "open", "half_open"]),
  opened_at: maybe(time),
  cause: maybe(z.enum(["config", "failures"])),
  why: maybe(z.string()),
  waiting: count,
  sending: count,
});
export const destinationsSaid = z.object({ destinations: z.array(destinationRow) });

const alertRow: z.ZodType<AlertRow> = z.object({
  key: z.string(),
  open: z.boolean(),
  at: time,
  opened_with: maybe(z.string()),
});
export const alertsSaid = z.object({ alerts: z.array(alertRow) });

export const postsAsked = z.object({ subject: z.string().min(1).max(1000) });
export const postsSaid = z.object({ posts: maybe(z.array(postRow)) });

export const readLogAsked = z.object({
  run_id: id,
  attempt: count,
  from: count,
  limit: z
    .int()
    .min(1)
    .max(1024 ** 2),
});
export const readLogHeaders = { next: "X-Meshmac-Next", size: "X-Meshmac-Size" } as const;

export const cancelAsked = z.object({ run_id: id, why: z.string().max(1000) });
export const cancelSaid = z.object({ said: z.enum(["cancelled", "asked", "over", "unknown"]) });

const mark: z.ZodType<Mark> = z.object({
  key: id,
  window_ms: time,
  only: z.enum(["look", "leave"]).exactOptional(),
});
export const entrySchema: z.ZodType<Entry> = z.object({
  task: taskSchema,
  marks: z.array(mark),
  seen_at: time,
  retry_of: z.string().exactOptional(),
  debounce: z.object({ wait_ms: z.number().min(0), most_ms: z.number().min(0) }).exactOptional(),
});
export const acceptSaid: z.ZodType<Accepted> = z.object({ status: z.enum(["queued", "duplicate"]), run_id: id });

export const dropAsked = z.object({ run_id: id });
export const dropSaid = z.object({ said: z.enum(["dropped", "not dead", "unknown"]) });

const laneRow: z.ZodType<LaneRow> = z.object({
  lane: z.string(),
  needs: z.array(z.string()),
  priority: z.number(),
  limit: maybe(count),
  max_depth: maybe(count),
  locks: z.array(z.string()),
  depth: count,
  running: count,
  oldest_queued_at: maybe(time),
  paused: maybe(z.object({ why: z.string(), at: time })),
});
const at = { node: z.string(), since: time };
const holder: z.ZodType<Holder> = z.union([z.object({ run_id: id, ...at }), z.object({ hold: id, ...at })]);
const lockRow: z.ZodType<LockRow> = z.object({ lock: z.string(), capacity: count, held: z.array(holder) });
export const lanesSaid: z.ZodType<Lanes> = z.object({ lanes: z.array(laneRow), locks: z.array(lockRow) });
export const pauseAsked = z.object({ lane: id, why: maybe(z.string().min(1).max(1000)) });
export const holdAsked: z.ZodType<HoldAsk> = z.object({
  lock: id,
  token: id,
  node: id,
  ttl_ms: z.int().min(1).max(86_400_000),
});
export const holdSaid = z.object({ held: z.boolean() });
export const unholdAsked = z.object({ token: id });
export const done = z.object({});

const nodeRow: z.ZodType<NodeRow> = z.object({
  node: id,
  facts,
  last_seen: time,
  mode: z.enum(["active", "drained"]),
  why: maybe(z.string()),
  running: z.array(held),
});
export const nodesSaid = z.object({ nodes: z.array(nodeRow) });

export const modeAsked = z.object({
  node: id,
  mode: z.enum(["active", "drained"]),
  why: maybe(z.string().max(1000)),
});
export const modeSaid = z.object({ said: z.enum(["ok", "unknown"]) });
export const forgetAsked = z.object({ node: id, force: z.boolean() });
export const forgetSaid = z.object({ said: z.enum(["ok", "busy", "unknown"]) });

const gatewayRow: z.ZodType<GatewayRow> = z.object({
  gateway: z.string(),
  facts: z.record(z.string(), z.json()),
  last_seen: time,
  silent_ms: time,
});
export const gatewaysSaid = z.object({ gateways: z.array(gatewayRow) });

const outcomes = ["queued", "duplicate", "ignored", "refused"] as const satisfies DeliveryNote["outcome"][];
const note: z.ZodType<DeliveryNote> = z.object({
  at: time,
  source: z.string(),
  correlation_id: z.string(),
  outcome: z.enum(outcomes),
  reason: maybe(z.string()),
  run_id: maybe(z.string()),
  issue_key: maybe(z.string()),
});
export const deliveriesAsked = z.object({
  limit: z.int().min(1).max(10_000),
  outcome: z.enum(outcomes).exactOptional(),
});
export const deliveriesSaid = z.object({ deliveries: z.array(note) });

const kinds = Object.keys(exitStatus);
/** How a refusal travels: enough for the other side to end with the same exit status and the same next step. */
export const errorSaid = z.object({
  error: z.string(),
  hint: z.string().optional(),
  kind: z.string().refine((kind): kind is keyof typeof exitStatus => kinds.includes(kind)),
});
