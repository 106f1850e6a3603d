import type { Database } from "bun:sqlite";
import { usualLogLimit } from "../../core/log-bounds.ts";
import type { Bell } from "../bell.ts";
import type { Lane, Rules } from "../store.ts";
import type { StoreClock } from "./clock.ts";
import type { Writer } from "./writer.ts";

/** What the verbs of the store share. A verb prepares its statements once, from here, and closes over them. */
export interface Inside {
  db: Database;
  /** The clock's time. */
  now(): number;
  clock: StoreClock;
  /** What was published last; replaced as a whole. */
  rules: Rules;
  commit: Writer["commit"];
  /** Reads; throws `unavailable` when the store is closed. */
  look<T>(ask: () => T): T;
  /** Rings when there may be a run to lease, or a leased one to look at. */
  work: Bell;
  /** Rings when an event was written. */
  events: Bell;
  /** Rings when a post was made or settled. */
  posts: Bell;
}

const day = 86_400_000;

/** What holds before a gateway has published anything. */
export const firstRules: Rules = {
  lanes: {},
  locks: {},
  lease: { ttl_ms: 90_000, heartbeat_ms: 20_000, fence_ms: 60_000 },
  keep: { runs_ms: 30 * day, logs_ms: 14 * day, log_bytes: 10 * 1024 ** 3, deliveries: 10_000 },
  log_limit: usualLogLimit,
  admin_url: null,
};

const plainLane: Lane = {
  needs: [],
  priority: 0,
  timeout_ms: 3_600_000,
  max_lost: 3,
  locks: [],
  limit: null,
  cancel_previous: false,
  max_depth: null,
};

/** The rules of a lane; a lane that nobody configured has the defaults. */
export const laneOf = ({ lanes }: Rules, name: string): Lane =>
  (Object.hasOwn(lanes, name) ? lanes[name] : undefined) ?? plainLane;

/** Reads which locks a lease took: what is configured since changes nothing of that. */
export const locksIn = (taken: string | null): string[] => JSON.parse(taken ?? "[]");

/** How many may hold a lock at once; a lock that nobody counted is a mutex. */
export const capacityOf = ({ locks }: Rules, lock: string): number =>
  (Object.hasOwn(locks, lock) ? locks[lock] : undefined) ?? 1;
