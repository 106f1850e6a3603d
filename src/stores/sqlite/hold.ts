import { patienceFor } from "../hold.ts";
import type { HoldAsk } from "../store.ts";
import { capacityOf, type Inside, locksIn } from "./inside.ts";

interface HoldRow {
  token: string;
  lock: string;
  node: string;
  /** When it was taken, or, while it is only wanted, when it was first asked for. */
  since: number;
  held: 0 | 1;
}

/** What is taken at one moment. */
export interface Usage {
  /** Runs of a lane. */
  running(lane: string): number;
  /** Places of a lock that are held, or wanted by somebody who asked before `asked_at`. */
  places(lock: string, asked_at: number): number;
  capacity(lock: string): number;
}

/** Makes the verbs by which a lock is held from outside, `hold` and `unhold`, and the count of what is taken. */
export function holding(inside: Inside) {
  const { db, now, work } = inside;
  const busy = db.prepare<{ lane: string; locks: string; n: number }, []>(
    "SELECT lane, locks, count(*) AS n FROM run INDEXED BY run_leased WHERE state = 'running' GROUP BY lane, locks",
  );
  const holds = db.prepare<HoldRow, [number]>(
    "SELECT token, lock, node, since, held FROM hold WHERE until > ? ORDER BY since",
  );
  const forget = db.prepare<null, [number]>("DELETE FROM hold WHERE until <= ?");
  const put = db.prepare<null, [string, string, string, number, number, number]>(`
    INSERT INTO hold (token, lock, node, since, until, held) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (token) DO UPDATE SET since = excluded.since, until = excluded.until, held = excluded.held`);
  const remove = db.prepare<null, [string]>("DELETE FROM hold WHERE token = ?");

  function usage(time: number): Usage {
    const running = new Map<string, number>();
    const outside = holds.all(time);
    const byRuns = new Map<string, number>();
    for (const { lane, locks, n } of busy.all()) {
      running.set(lane, (running.get(lane) ?? 0) + n);
      for (const lock of locksIn(locks)) byRuns.set(lock, (byRuns.get(lock) ?? 0) + n);
    }
    return {
      running: (lane) => running.get(lane) ?? 0,
      places: (lock, asked_at) =>
        (byRuns.get(lock) ?? 0) +
        outside.filter((hold) => hold.lock === lock && (hold.held === 1 || hold.since < asked_at)).length,
      capacity: (lock) => capacityOf(inside.rules, lock),
    };
  }

  return {
    usage,

    /** Who holds or wants a lock from outside now, the first to ask first. */
    outside: (): HoldRow[] => holds.all(now()),

    hold({ lock, token, node, ttl_ms }: HoldAsk): boolean {
      const time = now();
      if (forget.run(time).changes > 0) work.ring();
      const mine = holds.all(time).find((hold) => hold.token === token);
      const asked_at = mine?.since ?? time;
      const used = usage(time);
      const got = mine?.held === 1 || used.places(lock, asked_at) < used.capacity(lock);
      const since = got && mine?.held !== 1 ? time : asked_at;
      put.run(token, lock, node, since, time + (got ? ttl_ms : patienceFor(ttl_ms)), got ? 1 : 0);
      return got;
    },

    unhold(token: string): void {
      if (remove.run(token).changes > 0) work.ring();
    },
  };
}
