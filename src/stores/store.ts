import type { Debounce } from "../core/debounce.ts";
import type { Json } from "../core/json.ts";
import type {
  Announcement,
  DeliveryNote,
  LogSlice,
  Mark,
  NodeFacts,
  Report,
  Result,
  Run,
  RunState,
  Task,
  Use,
} from "../core/records.ts";
import type { TallyRow } from "../core/use.ts";

// The store port. Every verb is one atomic step, checks the fence itself, and carries a handle that makes a repeat harmless:
// accept the run_id · lease the token · log the offset · finish and renew (run, attempt) · report (subject, state) ·
// expand the event id · settle the claim · callOff finds nothing more to end. All times are epoch milliseconds of the store's own clock, but `seen_at`.

/** How long a call may block for something to happen; the signal ends the wait at once (the call then answers as if time were up). */
export interface Wait {
  ms: number;
  signal?: AbortSignal;
}

/** What a gateway waits for. */
export type Stirring = "events" | "posts" | "logs";

export interface Held {
  run_id: string;
  attempt: number;
}

export interface LeaseAsk {
  node: string;
  facts: NodeFacts;
  /**
   * Fresh per lease the node wants; the same token answers the same lease, so a lost reply loses nothing. `<place>.<random>`:
   * what stands before the dot names where the worker works, so that two under one name do not take each other for dead.
   */
  token: string;
  /** What this worker really runs. A lease of this node and place that is neither here nor under `token` ran out with its process: it is lost at once. */
  holding: Held[];
  /** Set by a gateway through which the node comes. */
  through?: boolean;
}

export interface Lease {
  task: Task;
  attempt: number;
  ttl_ms: number;
  heartbeat_ms: number;
  fence_ms: number;
  timeout_ms: number;
  /** Bytes that are kept of this attempt's log; a node ships no more. */
  log_limit: number;
  /** The page of this run on the admin side, or null where no `admin.url` is configured. */
  run_url: string | null;
}

export type Word = "ok" | "cancel" | "stale";

export interface Renewal {
  /** One word per run asked about, in the order asked. */
  words: Word[];
  /** Runs leased to this node that it did not mention. */
  forgotten: Held[];
}

export interface LogChunk extends Held {
  node: string;
  /** Bytes of this attempt's log that the caller believes are stored. */
  offset: number;
  bytes: Uint8Array;
  /** The caller knows that the attempt is over for it, and hands in the rest of its log. */
  late?: boolean;
}

/** The five verbs of a node, and no more: this is all that a worker can reach. */
export interface NodeStore {
  /** Settles what the node no longer runs, then leases the next run that it may have; waits up to `wait.ms` for one, else null. */
  lease(ask: LeaseAsk, wait?: Wait): Promise<Lease | null>;
  /** Extends the leases at once; then, given `wait`, answers early when a word becomes other than ok, and at the end of the wait. */
  renew(node: string, held: Held[], wait?: Wait): Promise<Renewal>;
  /**
   * Appends; answers the offset wanted next (bytes before it are kept, a gap is refused by answering a smaller one), or stale.
   * What is `late` is taken for a day from the node that had the attempt, whoever has the run by then.
   */
  log(chunk: LogChunk): Promise<number | "stale">;
  /** Ends the attempt; "ok" again for a repeat, "stale" when the run was leased again, reaped or ended otherwise. */
  finish(result: Result): Promise<"ok" | "stale">;
  /** Hands in a finished build that somebody else ran. */
  report(report: Report): Promise<"new" | "seen">;
  close(): Promise<void>;
}

export interface Lane {
  needs: string[];
  priority: number;
  timeout_ms: number;
  max_lost: number;
  locks: string[];
  limit: number | null;
  cancel_previous: boolean;
  max_depth: number | null;
}

/** What the gateway decides and the store enforces. */
export interface Rules {
  lanes: Record<string, Lane>;
  locks: Record<string, number>;
  lease: { ttl_ms: number; heartbeat_ms: number; fence_ms: number };
  /** `gateways_ms`: how long the row of a gateway that fell silent is kept; a day where unsaid. */
  keep: { runs_ms: number; logs_ms: number; log_bytes: number; deliveries: number; gateways_ms?: number };
  /** Bytes that are kept of one attempt's log. */
  log_limit: number;
  admin_url: string | null;
}

export interface Entry {
  task: Task;
  marks: Mark[];
  /** When the delivery was seen; compared only with other `seen_at`. */
  seen_at: number;
  retry_of?: string;
  /** Leased only after this wait. Till then a later entry with one, of the same source and issue, takes its place in the same run. */
  debounce?: Debounce;
}

export interface Accepted {
  status: "queued" | "duplicate";
  run_id: string;
}

/** A state that changed, written in the state's own atomic step and deleted by `expand`. */
export interface StoreEvent {
  id: string;
  /** run_id, or `<source>/<provider_run_id>` of a report. */
  subject: string;
  /** Rises by one per subject, from 1. */
  seq: number;
  state: RunState;
  at: number;
  /** The task of a run; null for a report. */
  task: Task | null;
  report: Report | null;
  node: string | null;
  attempt: number;
  lost: number;
  reason: string | null;
  started_at: number | null;
  result: Result | null;
}

export interface NewPost {
  /** sha256 of subject, state and destination: the same post is never made twice. */
  key: string;
  destination: string;
  announcement: Announcement;
}

/** An event and everything that is to be said of it. */
export interface Expansion {
  event: StoreEvent;
  posts: NewPost[];
}

export interface Claimed {
  key: string;
  claim: string;
  destination: string;
  subject: string;
  seq: number;
  state: RunState;
  announcement: Announcement;
  /** This try included, from 1. */
  tries: number;
  /** An earlier try may have reached the provider: its outcome was never learnt. */
  unsure: boolean;
  /** The provider's handle of this subject at this destination, or null. */
  handle: string | null;
  /** What the last try said, or null. */
  why: string | null;
  created_at: number;
  /** Names the occasion where the post was sent before, and is to be sent once more. */
  again?: string;
}

export type ClaimAnswer = { post: Claimed } | { post: null; next_at: number | null };

/** What one try says of the destination itself. */
export type Health =
  | { well: true }
  | ({
      well: false;
      cause: Cause;
      /** Changes with its options and secrets. */
      setup: string;
      /** The post has quick tries left: its failure counts only where it was the probe of an open circuit. */
      early?: boolean;
    } & Opening);

/** Why a circuit is open: the destination refuses us, or its tries failed one after the other. */
export type Cause = "config" | "failures";

/** When a failed try opens the circuit of its destination, and for how long: twice as long for each failure beyond `limit`. */
export interface Opening {
  /** So many failures in a row. */
  limit: number;
  open_ms: number;
  longest_ms: number;
  /** A post that has waited this long is given up when the probe of an open circuit fails. */
  give_up_ms: number;
}

export type Settlement = {
  key: string;
  claim: string;
  why?: string;
  pause_until?: number;
  health?: Health;
  /**
   * The try may have changed an earlier message in place. Where this claim had run out by then, a newer state may have been
   * overwritten: the newest one that was sent is sent once more.
   */
  edited?: boolean;
} & (
  | {
      verdict: "sent";
      handle?: string;
      /** One more post of the same state, made in the same step; it begins with `handle`. */
      follow?: NewPost & { handle: string };
    }
  | { verdict: "later"; due_in_ms: number; unsure: boolean }
  | { verdict: "dead" }
);

/** "stale" where the claim had run out; "opened" and "closed" say that this settlement turned the circuit of its destination. A repeat says "ok". */
export type Settled = "ok" | "opened" | "closed" | "stale";

/** A destination that is paused, closed off or has something to send; one that is well and idle has no row. */
export interface DestinationRow {
  name: string;
  paused_until: number | null;
  /** Tries that failed in a row. */
  failures: number;
  circuit: "closed" | "open" | "half_open";
  opened_at: number | null;
  /** Why it is open; null while it is closed. */
  cause: Cause | null;
  why: string | null;
  waiting: number;
  sending: number;
}

export interface PostRow {
  destination: string;
  state: RunState;
  status: "waiting" | "sending" | "sent" | "replaced" | "dead";
  tries: number;
  unsure: boolean;
  why: string | null;
  at: number;
}

export interface Shown {
  run: Run;
  task: Task;
  result: Result | null;
  posts: PostRow[];
  cancel: string | null;
  /** The locks that its lease holds now. */
  locks: string[];
  /** How long it was the next of its lane and a lock alone kept a fitting node from it. */
  lock_wait_ms: number;
}

export interface Filter {
  states?: RunState[];
  lane?: string;
  source?: string;
  issue_key?: string;
  /** The node that has it, or had it last. */
  node?: string;
  /** Queued then or later. */
  since?: number;
  /** Whether somebody has dropped it. */
  dropped?: boolean;
  limit: number;
  cursor?: string;
}

export interface NodeRow {
  node: string;
  facts: NodeFacts;
  last_seen: number;
  mode: "active" | "drained";
  why: string | null;
  running: Held[];
}

export interface GatewayRow {
  gateway: string;
  facts: Record<string, Json>;
  last_seen: number;
  /** Milliseconds since its last beat, by the store's own clock. */
  silent_ms: number;
}

/** An alert as it stands: open, or how it was last resolved. */
export interface AlertRow {
  key: string;
  open: boolean;
  /** When it was last opened or resolved. */
  at: number;
  opened_with: string | null;
}

/** A failed or dead state of which no destination that owed it has heard. */
export interface Unheard {
  subject: string;
  state: "failed" | "dead";
  /** When its posts were made. */
  since: number;
  announcement: Announcement;
  posts: Pick<PostRow, "destination" | "status" | "why">[];
}

/** A lane that is configured, paused, or has something to do. */
export interface LaneRow extends Pick<Lane, "needs" | "priority" | "limit" | "max_depth" | "locks"> {
  lane: string;
  /** Runs that wait. */
  depth: number;
  running: number;
  oldest_queued_at: number | null;
  paused: Pause | null;
}

export interface Pause {
  why: string;
  at: number;
}

/** Who has a place in a lock: a run by its lease, or whoever holds it from outside. */
export type Holder = ({ run_id: string } | { hold: string }) & { node: string; since: number };

export interface LockRow {
  lock: string;
  /** How many may hold it at once. */
  capacity: number;
  held: Holder[];
}

/** All lanes and locks, each by name. */
export interface Lanes {
  lanes: LaneRow[];
  locks: LockRow[];
}

export interface HoldAsk {
  lock: string;
  /** Fresh per holder; the same token renews, and a lost reply loses nothing. */
  token: string;
  /** Where the holder is. */
  node: string;
  ttl_ms: number;
}

/** What an operator's command may ask, also over the owner's socket. */
export interface OperatorStore {
  /** Newest first; `next` is the cursor of the following page or null. */
  list(filter: Filter): Promise<{ runs: Run[]; next: string | null }>;
  /** One run by its id, or by any unique ending of at least four characters; throws `data`, naming them, when several match. */
  show(id: string): Promise<Shown | null>;
  readLog(run_id: string, attempt: number, from: number, limit: number): Promise<LogSlice>;
  /** A queued run ends at once, a running one is asked. */
  cancel(run_id: string, why: string): Promise<"cancelled" | "asked" | "over" | "unknown">;
  /** Queues the same task anew as `entry.task.run_id`, whatever its marks. */
  accept(entry: Entry): Promise<Accepted>;
  /** Takes a dead run from the list of what somebody has to look at; so does a retry of it. */
  drop(run_id: string): Promise<"dropped" | "not dead" | "unknown">;
  lanes(): Promise<Lanes>;
  /** Leases nothing more from this lane, for the reason given, until `why` is null. */
  pause(lane: string, why: string | null): Promise<void>;
  /**
   * Takes a place in a lock for `ttl_ms`, or keeps it that much longer. False while there is none: it is then wanted, for
   * `ttl_ms`, and goes before every run that is queued later.
   */
  hold(ask: HoldAsk): Promise<boolean>;
  /** Gives the place back, or wants it no more. */
  unhold(token: string): Promise<void>;
  nodes(): Promise<NodeRow[]>;
  /** Leases a node nothing new (what it runs goes on), or does again. A node that never asked for work is unknown. */
  mode(node: string, mode: NodeRow["mode"], why: string | null): Promise<"ok" | "unknown">;
  /** Forgets a node and its mode; a busy one only by force: what is leased to it then runs out unless it renews. */
  forget(node: string, force: boolean): Promise<"ok" | "busy" | "unknown">;
  /** Every gateway that beat within a day, a standby too. */
  gateways(): Promise<GatewayRow[]>;
  /** Every open alert, and those resolved within `keep`. */
  alerts(): Promise<AlertRow[]>;
  /** What every gateway of the last 31 days has said of its secrets, at most 500 of them. */
  uses(): Promise<TallyRow[]>;
  /** Takes the place of what this gateway, or whoever else sent something with a secret, said before. */
  tally(gateway: string, uses: Use[]): Promise<void>;
  /** Every destination that is not both well and idle, by name. */
  destinations(): Promise<DestinationRow[]>;
  /** The posts about a run or a report, oldest state first; null while a state of it waits to be expanded. */
  posts(subject: string): Promise<PostRow[] | null>;
  deliveries(limit: number, outcome?: DeliveryNote["outcome"]): Promise<DeliveryNote[]>;
}

/** Every verb of the house. The gateway holds this one. */
export interface Store extends NodeStore, OperatorStore {
  /** What the store is and how durable, in words: `sqlite, power-safe`. */
  readonly about: { kind: "sqlite" | "redis"; durability: string };
  /**
   * Moves the next piece of a log that waits in the store to the files of this gateway, which is called `name`; false where none
   * waits. Killed at any point it neither loses nor doubles a byte.
   */
  drain(name: string): Promise<boolean>;
  /** What people must know of it although it works. */
  notes(): string[];
  /** Proves that the store can be written now, or throws. */
  check(): Promise<void>;
  publish(rules: Rules): Promise<void>;
  /**
   * The oldest events that nobody has expanded, oldest first. Given `heard`, the events of runs in other states are deleted
   * on the way: nobody would say them, and most states of a busy pool are such.
   */
  events(limit: number, heard?: RunState[]): Promise<StoreEvent[]>;
  /** Turns each event into its posts and deletes it, once; answers false for those where another gateway was first. */
  expand(expansions: Expansion[]): Promise<boolean[]>;
  /**
   * Takes the earliest due post of these destinations, in order per subject and destination; persists "attempt started" first.
   * An open circuit lets one post through when its time is over, the probe, and the next when that one is settled.
   */
  claim(claim: string, ttl_ms: number, destinations: string[]): Promise<ClaimAnswer>;
  settle(settlement: Settlement): Promise<Settled>;
  /**
   * Lets a circuit be probed now that opened under another setup; `setups` by destination. The ends of subjects that were
   * refused under another one, at most a day ago, are due again; so are all that were refused once a circuit closes.
   */
  reconsider(setups: Record<string, string>): Promise<void>;
  /** Ends the run of an issue that still waits out its `debounce`, for the reason given; answers its id, or null where none does. */
  callOff(source: string, issue_key: string, why: string): Promise<string | null>;
  /**
   * Takes back leases that ran out; answers how many. `gate_ms` says that nodes come through who asks, who asks again within
   * so long: where nobody does, leases that came through a gateway stay, and get one ttl when somebody does again.
   */
  reap(gate_ms?: number): Promise<number>;
  beat(gateway: string, facts: Record<string, Json>): Promise<void>;
  note(deliveries: DeliveryNote[]): Promise<void>;
  /** True when this opened or resolved it, false when it already was. */
  alert(key: string, what: "open" | "resolve", opened_with?: string): Promise<boolean>;
  /** The failed and dead states, newest first, of which no post was sent or replaced although they were made `age_ms` ago. */
  unheard(age_ms: number, limit: number): Promise<Unheard[]>;
  /** Deletes what is older than `keep`, and the rows of gateways that fell silent; answers how many runs went. */
  sweep(): Promise<number>;
  /** Resolves when there may be an event to expand, a post to claim or a log to drain, as asked, when the wait is over, or when its signal fires. Each caller brings a signal of its own. */
  stirred(what: Stirring, wait: Wait): Promise<void>;
}
