import { resolve } from "node:path";
import type { Archive } from "../core/archive.ts";
import { MeshError } from "../core/error.ts";
import { Bell } from "./bell.ts";
import { openLogs } from "./logs.ts";
import { accepting } from "./sqlite/accept.ts";
import { StoreClock } from "./sqlite/clock.ts";
import { telling } from "./sqlite/event.ts";
import { failureOf } from "./sqlite/failure.ts";
import { openFile } from "./sqlite/file.ts";
import { finishing } from "./sqlite/finish.ts";
import { holding } from "./sqlite/hold.ts";
import type { Inside } from "./sqlite/inside.ts";
import { surveying } from "./sqlite/lanes.ts";
import { waiting } from "./sqlite/later.ts";
import { leasing } from "./sqlite/lease.ts";
import { listing } from "./sqlite/list.ts";
import { takeLock, type Role } from "./sqlite/lock.ts";
import { noting } from "./sqlite/note.ts";
import { posting } from "./sqlite/post.ts";
import { changes } from "./sqlite/run.ts";
import { publishedRules, settings } from "./sqlite/setting.ts";
import { stirring } from "./sqlite/stir.ts";
import { sweeping } from "./sqlite/sweep.ts";
import { tallying } from "./sqlite/tally.ts";
import { listening } from "./sqlite/unheard.ts";
import { openWriter } from "./sqlite/writer.ts";
import type { Store } from "./store.ts";

export interface SqliteOptions {
  path: string;
  /** Where the logs of runs are kept. */
  state_dir: string;
  /** Where logs are read from that are here no more. */
  archive?: Archive | undefined;
  now?: () => number;
  /** Milliseconds that no clock change moves; where only `now` is given, no clock change is seen. */
  monotonic?: () => number;
  /** An owner keeps the file; a visitor is a short command while nobody owns it. */
  role?: Role;
}

/**
 * Opens the embedded store: one file, one process. Throws `later` (75) where another process owns the file, `config` (78) where the file
 * does not hold what was asked of it or was written by another meshmac, `permission` (77) where it cannot be written.
 */
export async function openSqlite({
  path: given,
  state_dir,
  archive,
  now = Date.now,
  monotonic = now === Date.now ? () => performance.now() : now,
  role = "owner",
}: SqliteOptions): Promise<Store> {
  const path = resolve(given);
  const unlock = await takeLock(path, role);
  try {
    return open(path, resolve(state_dir), { clock: new StoreClock(now, monotonic), unlock, role, archive });
  } catch (error) {
    unlock();
    throw error;
  }
}

interface Means {
  clock: StoreClock;
  unlock: () => void;
  role: Role;
  archive: Archive | undefined;
}

function open(path: string, state_dir: string, { clock, unlock, role, archive }: Means): Store {
  const db = openFile(path);
  const writer = openWriter(db);
  const { commit } = writer;
  let closed = false;
  const inside: Inside = {
    db,
    now: () => clock.now(),
    clock,
    rules: publishedRules(db),
    commit,
    look(ask) {
      if (closed) throw new MeshError("unavailable", "the store is closed");
      try {
        return ask();
      } catch (error) {
        throw failureOf(error);
      }
    },
    work: new Bell(),
    events: new Bell(),
    posts: new Bell(),
  };
  const logs = openLogs(resolve(state_dir, "logs"), archive);

  const change = changes(inside);
  const later = waiting(inside, change);
  const accept = accepting(inside, change, later);
  const { paused, pauses, publish, pause, check } = settings(inside);
  const locks = holding(inside);
  const lanes = surveying(inside, locks, pauses);
  const { lease, renew, reap, spare, followClock } = leasing(inside, change, paused, locks);
  const { finish, cancel, drop, mayLog } = finishing(inside, change);
  const { events, isForgettable, forget, expand, report } = telling(inside);
  const { claim, settle, destinations, reconsider, dueAt } = posting(inside);
  const { list, show, posts } = listing(inside);
  const { nodes, mode, forget: forgetNode, gateways, deliveries, note, beat, alert, alerts } = noting(inside);
  const stirred = stirring(inside, dueAt);
  const unheard = listening(inside);
  const sweep = sweeping(inside, logs);
  const { tally, uses } = tallying(inside);
  /** Answers what a reading verb reads, or rejects as the writing ones do. */
  const read = async <T>(ask: () => T): Promise<T> => inside.look(ask);

  if (role === "owner") spare();

  return {
    about: { kind: "sqlite", durability },
    accept: (entry) => commit(() => accept(entry)),
    lease,
    renew,
    finish: (result) => commit(() => finish(result)),
    report: (said) => commit(() => report(said)),
    log: (chunk) =>
      read(() => {
        const { run_id, attempt, offset, bytes } = chunk;
        return mayLog(chunk) ? logs.append(run_id, attempt, offset, bytes, inside.rules.log_limit) : "stale";
      }),
    async readLog(run_id, attempt, from, limit) {
      const found = await read(() => logs.read({ run_id, attempt, from: 0 }, from, limit));
      return found ?? { bytes: new Uint8Array(), next: 0, size: 0 };
    },
    // Its logs are files from the first byte.
    drain: async () => false,
    notes: () => logs.notes(),
    list: (filter) => read(() => list(filter)),
    show: (id) => read(() => show(id)),
    cancel: (run_id, why) => commit(() => cancel(run_id, why)),
    drop: (run_id) => commit(() => drop(run_id)),
    lanes: () => read(lanes),
    pause,
    hold: (ask) =>
      commit(() => {
        followClock();
        return locks.hold(ask);
      }),
    unhold: (token) => commit(() => locks.unhold(token)),
    nodes: () => read(nodes),
    mode: (node, to, why) => commit(() => mode(node, to, why)),
    forget: (node, force) => commit(() => forgetNode(node, force)),
    gateways: () => read(gateways),
    posts: (subject) => read(() => posts(subject)),
    deliveries: (limit, outcome) => read(() => deliveries(limit, outcome)),
    check,
    publish,
    async events(limit, heard) {
      while (heard && (await read(() => isForgettable(limit, heard)))) await commit(() => forget(limit, heard));
      return await read(() => events(limit));
    },
    expand: (expansions) => commit(() => expand(expansions)),
    claim: (by, ttl_ms, at) => commit(() => claim(by, ttl_ms, at)),
    settle: (settlement) => commit(() => settle(settlement)),
    destinations: () => read(destinations),
    reconsider: (setups) => commit(() => reconsider(setups)),
    callOff: (source, issue_key, why) => commit(() => later.callOff(source, issue_key, why)),
    reap,
    beat: (gateway, facts) => commit(() => beat(gateway, facts)),
    tally: (gateway, said) => commit(() => tally(gateway, said)),
    uses: () => read(uses),
    note: (said) => commit(() => note(said)),
    alert: (key, what, opened_with) => commit(() => alert(key, what, opened_with)),
    alerts: () => read(alerts),
    unheard: (age_ms, limit) => read(() => unheard(age_ms, limit)),
    sweep,
    stirred,
    async close() {
      if (closed) return;
      closed = true;
      writer.close();
      inside.work.ring();
      inside.events.ring();
      inside.posts.ring();
      db.close();
      unlock();
    },
  };
}

// On macOS fsync leaves the drive's cache alone, and Apple's SQLite asks for no more than a barrier.
const durability =
  process.platform === "darwin" ? "crash-safe (kill -9); power loss not promised on macOS" : "power-safe";
