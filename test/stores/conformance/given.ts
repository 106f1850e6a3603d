import type { Report, Mark, Result, RunState, Task } from "../../../src/core/records.ts";
import type {
  Claimed,
  Held,
  Lane,
  Lease,
  LeaseAsk,
  NewPost,
  NodeStore,
  OperatorStore,
  Rules,
  Store,
  StoreEvent,
} from "../../../src/stores/store.ts";

export type NodeSide = NodeStore & OperatorStore;

/** A fresh, empty store: the owner's, and the one that nodes and operators use (the same, unless a wire lies between). */
export interface Given {
  store: Store;
  node: NodeSide;
  close(): Promise<void>;
}

export type Open = () => Promise<Given>;

/** Runs `body` with a fresh store and closes it, whatever happens. */
export const withStore = (open: Open, body: (given: Given) => Promise<void>) => async (): Promise<void> => {
  const given = await open();
  try {
    await body(given);
  } finally {
    await given.close();
  }
};

export const day = 86_400_000;
export const minute = 60_000;
export const never = 3_600_000;

/** A time long enough for a wait that must end by its own, never by the clock: the test's deadline comes first. */
export const longWait = 120_000;

export const laneOf = (over: Partial<Lane> = {}): Lane => ({
  needs: [],
  priority: 0,
  timeout_ms: 3_600_000,
  max_lost: 3,
  locks: [],
  limit: null,
  cancel_previous: false,
  max_depth: null,
  ...over,
});

export const rulesOf = (over: Partial<Rules> = {}): Rules => ({
  lanes: { ios: laneOf() },
  locks: {},
  lease: { ttl_ms: 90_000, heartbeat_ms: 20_000, fence_ms: 60_000 },
  keep: { runs_ms: 30 * day, logs_ms: 14 * day, log_bytes: 10 * 1024 ** 3, deliveries: 1000 },
  log_limit: 64 * 1024 * 1024,
  admin_url: "https://builds.example",
  ...over,
});

export const leaseOf = (ttl_ms: number): Rules["lease"] => ({ ttl_ms, heartbeat_ms: 20_000, fence_ms: 60_000 });

export const taskOf = (over: Partial<Task> = {}): Task => ({
  v: 1,
  run_id: Bun.randomUUIDv7(),
  source: "jira",
  issue_key: "MOB-12",
  issue_id: "10012",
  issue_url: "https://acme.example/browse/MOB-12",
  project: "MOB",
  transition_id: "status:building",
  summary: "Bäume zählen 🌲",
  requested_by: "Ada",
  repo_url: "git@git.example:acme/app.git",
  ref: "main",
  script: "build-ios",
  lane: "ios",
  params: { scheme: "Release" },
  timeout_s: 2700,
  idempotency_key: "jira:MOB-12:status:building:1",
  correlation_id: "c-1",
  accepted_at: 1_800_000_000_000,
  ...over,
});

export const seenAt = 1_800_000_000_000;

/** Accepts a task without marks and answers it. */
export async function queue(store: Pick<Store, "accept">, over: Partial<Task> = {}): Promise<Task> {
  const task = taskOf(over);
  await store.accept({ task, marks: [], seen_at: seenAt });
  return task;
}

export const intent = (key = "i/one"): Mark => ({ key, window_ms: 5 * minute });
export const delivery = (key = "d/jira/one"): Mark => ({ key, window_ms: 8 * day });

export function askOf(over: Partial<LeaseAsk> & { labels?: string[]; scripts?: string[] } = {}): LeaseAsk {
  const { labels = [], scripts = ["build-ios"], ...rest } = over;
  return {
    node: "mac-07",
    facts: { version: "0.1.0", os: "macOS 26", labels, scripts, concurrency: 2 },
    token: crypto.randomUUID(),
    holding: [],
    ...rest,
  };
}

/** Leases, and fails where there is nothing to lease. */
export async function leased(node: NodeSide, ask: LeaseAsk = askOf()): Promise<Lease> {
  const lease = await node.lease(ask);
  if (!lease) throw new Error(`nothing was leased to ${ask.node}`);
  return lease;
}

export const heldOf = (lease: Lease): Held => ({ run_id: lease.task.run_id, attempt: lease.attempt });

export const resultOf = (held: Held, state: Result["state"] = "succeeded", over: Partial<Result> = {}): Result => ({
  ...held,
  state,
  mesh_node_id: "mac-07",
  reason: null,
  commit: "0123456789abcdef0123456789abcdef01234567",
  failing_target: null,
  summary: null,
  run_url: null,
  started_at: seenAt,
  finished_at: seenAt + 1000,
  exit_code: state === "succeeded" ? 0 : 1,
  log_tail: ["done"],
  ...over,
});

/** A report of a build that somebody else ran. */
export const reportOf = (over: Partial<Report> = {}): Report => ({
  source: "github",
  workflow: "release",
  state: "succeeded",
  branch: "main",
  commit: null,
  run_url: "https://ci.example/runs/77",
  mesh_node_id: "mac-07",
  provider_run_id: "77",
  failing_target: null,
  ...over,
});

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

export const postOf = (event: StoreEvent, destination: string): NewPost => ({
  key: new Bun.CryptoHasher("sha256").update(`${event.subject}|${event.state}|${destination}`).digest("hex"),
  destination,
  announcement: {
    workflow: event.task?.script ?? event.report?.workflow ?? "",
    state: event.state,
    branch: event.task?.ref ?? "main",
    commit: null,
    run_url: null,
    mesh_node_id: event.node,
    provider_run_id: event.subject,
    source: "jira",
    issue_key: event.task?.issue_key ?? null,
    issue_id: null,
    issue_url: null,
    summary: event.task?.summary ?? null,
    requested_by: null,
    lane: event.task?.lane ?? null,
    attempt: event.attempt,
    failing_target: null,
    duration_ms: null,
    reason: event.reason,
    log_tail: [],
    idempotency_key: null,
    at: event.at,
  },
});

/** Expands every pending event into one post per destination. */
export async function expandAll(store: Store, ...destinations: string[]): Promise<StoreEvent[]> {
  const events = await store.events(100);
  await store.expand(
    events.map((event) => ({ event, posts: destinations.map((destination) => postOf(event, destination)) })),
  );
  return events;
}

/** Takes one run through queued, running and succeeded, each announced at `destinations`; answers its id. */
export async function wholeStory({ store, node }: Given, ...destinations: string[]): Promise<string> {
  const task = await queue(store, { script: crypto.randomUUID() });
  const lease = await leased(node, askOf({ node: task.script, scripts: [task.script] }));
  await node.finish(resultOf(heldOf(lease), "succeeded", { mesh_node_id: task.script }));
  await expandAll(store, ...destinations);
  return task.run_id;
}

/** Claims, and fails where nothing is due. */
export async function claimed(store: Store, destinations: string[], ttl = never): Promise<Claimed> {
  const { post } = await store.claim(crypto.randomUUID(), ttl, destinations);
  if (!post) throw new Error(`nothing was due at ${destinations.join(", ")}`);
  return post;
}

/** Asks again and again until there is an answer; the test's own deadline bounds it. */
export async function until<T>(ask: () => Promise<T | null | undefined | false>): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (answer !== null && answer !== undefined && answer !== false) return answer;
    await Bun.sleep(5);
  }
}

/** What `store` says of the run, and fails where it knows none. */
export async function seen(store: OperatorStore, run_id: string) {
  const shown = await store.show(run_id);
  if (!shown) throw new Error(`run ${run_id} is unknown`);
  return shown;
}

export async function stateOf(store: OperatorStore, run_id: string): Promise<RunState> {
  return (await seen(store, run_id)).run.state;
}

/** The states told of one subject so far and not yet expanded, oldest first. */
export async function told(store: Store, subject: string): Promise<RunState[]> {
  return (await store.events(500)).filter((event) => event.subject === subject).map((event) => event.state);
}
