import type { Task } from "../../core/records.ts";
import { log } from "../../log.ts";
import type { Held, Lease, LeaseAsk, Renewal, Wait, Word } from "../store.ts";
import { laneOf, type Inside } from "./inside.ts";
import type { holding } from "./hold.ts";
import { choosing } from "./next.ts";
import type { Changes, RunningRow } from "./run.ts";

// However quiet it is, a waiting lease looks again: a lease may have run out of which nobody rang.
const longestNap = 5000;
// Wall and monotonic time apart by more than this: the clock was set, or the machine slept.
const leapsBeyond = 1000;

interface LeasedRow {
  task: string;
  attempt: number;
}

interface MineRow extends RunningRow {
  run_id: string;
  attempt: number;
  token: string;
}

/** Makes the verbs `lease`, `renew` and `reap`, and what every verb that goes by the clock begins with. */
export function leasing(
  inside: Inside,
  { tell, lose }: Changes,
  paused: (lane: string) => boolean,
  locks: Pick<ReturnType<typeof holding>, "usage">,
) {
  const { db, now, clock, commit, look, work } = inside;
  const next = choosing(inside, locks);
  const seen = db.prepare<null, [string, string, number]>(`
    INSERT INTO node (node, facts, last_seen) VALUES (?, ?, ?)
    ON CONFLICT (node) DO UPDATE SET facts = excluded.facts, last_seen = excluded.last_seen`);
  const heard = db.prepare<null, [number, string]>("UPDATE node SET last_seen = ? WHERE node = ?");
  const isActive = db.prepare<{ yes: number }, [string]>(
    "SELECT EXISTS (SELECT 1 FROM node WHERE node = ? AND mode = 'active') AS yes",
  );
  const expired = db.prepare<RunningRow, [number]>(
    "SELECT seq, lane, lost, cancel FROM run INDEXED BY run_leased WHERE state = 'running' AND lease_until <= ? ORDER BY lease_until, seq",
  );
  const mine = db.prepare<MineRow, [string]>(
    "SELECT seq, lane, lost, cancel, run_id, attempt, token FROM run INDEXED BY run_leased WHERE state = 'running' AND node = ? ORDER BY seq",
  );
  const byToken = db.prepare<LeasedRow, [string, string]>(
    "SELECT task, attempt FROM run INDEXED BY run_leased WHERE state = 'running' AND node = ? AND token = ?",
  );
  const take = db.prepare<LeasedRow, [string, string, number, number, string, number]>(`
    UPDATE run SET state = 'running', reason = NULL, attempt = attempt + 1, told = told + 1, again = 0,
      node = ?1, token = ?2, lease_until = ?3 + ?4, ttl_ms = ?4, started_at = ?3, locks = ?5 WHERE seq = ?6 RETURNING task, attempt`);
  const retake = db.prepare<null, [number, number, string, string]>(
    "UPDATE run SET lease_until = ?1 + max(?2, ttl_ms), ttl_ms = max(?2, ttl_ms) WHERE state = 'running' AND node = ?3 AND token = ?4",
  );
  const worthALook = db.prepare<{ yes: number }, [number]>(`
    SELECT EXISTS (SELECT 1 FROM run WHERE state = 'queued')
      OR EXISTS (SELECT 1 FROM run INDEXED BY run_leased WHERE state = 'running' AND lease_until <= ?) AS yes`);
  const nextExpiry = db.prepare<{ at: number | null }, [number]>(`
    SELECT min(at) AS at FROM (SELECT min(lease_until) AS at FROM run INDEXED BY run_leased WHERE state = 'running'
      UNION ALL SELECT min(until) FROM hold WHERE until > ?1
      UNION ALL SELECT min(not_before) FROM run INDEXED BY run_later WHERE state = 'queued' AND not_before > ?1)`);
  const wordOf = db.prepare<{ cancel: string | null }, [string, string, number]>(
    "SELECT cancel FROM run WHERE run_id = ? AND state = 'running' AND node = ? AND attempt = ?",
  );
  // No shorter than its node was told: with a lower `ttl` it goes by what it was leased with.
  const lengthen = db.prepare<null, [number, number]>(
    "UPDATE run INDEXED BY run_leased SET lease_until = max(lease_until, ?1 + max(?2, ttl_ms)) WHERE state = 'running'",
  );
  const shiftLeases = db.prepare<null, [number]>(
    "UPDATE run INDEXED BY run_leased SET lease_until = lease_until + ? WHERE state = 'running'",
  );
  const shiftWaits = db.prepare<null, [number]>(
    "UPDATE run INDEXED BY run_later SET not_before = not_before + ? WHERE state = 'queued' AND not_before IS NOT NULL",
  );
  const shiftHolds = db.prepare<null, [number, number]>("UPDATE hold SET until = until + ?, since = since + ?");
  const extend = db.prepare<null, [number, number, string]>(
    "UPDATE run SET lease_until = ?1 + max(?2, ttl_ms) WHERE run_id = ?3",
  );

  /** Moves every lease, hold and wait with a clock that leapt: none ends early for it, and none outlives its time by it. */
  function followClock(): void {
    const leap = clock.follow();
    if (Math.abs(leap) < leapsBeyond) return;
    log.warn("clock jumped, leases moved with it", { ms: Math.round(leap) });
    shiftLeases.run(Math.round(leap));
    shiftHolds.run(Math.round(leap), Math.round(leap));
    shiftWaits.run(Math.round(leap));
  }

  function takeBack(): number {
    followClock();
    const gone = expired.all(now());
    for (const run of gone) lose(run);
    return gone.length;
  }

  /** What the node neither runs nor is asking for ran out with its process, unless it was leased to another place. */
  function settleWithNode({ node, facts, holding, token }: LeaseAsk): void {
    seen.run(node, JSON.stringify(facts), now());
    const holds = ({ run_id, attempt }: Held) =>
      holding.some((held) => held.run_id === run_id && held.attempt === attempt);
    for (const run of mine.all(node))
      if (run.token !== token && placeIn(run.token) === placeIn(token) && !holds(run)) lose(run);
  }

  function choose({ node, facts, token }: LeaseAsk): Lease | null {
    const same = byToken.get(node, token);
    if (same) {
      retake.run(now(), inside.rules.lease.ttl_ms, node, token);
      return leaseOf(same);
    }
    // One that was forgotten while it waited has to ask anew.
    if (!isActive.get(node)?.yes) return null;
    const chosen = next(facts, paused);
    if (chosen === null) return null;
    const { seq, locks } = chosen;
    const row = take.get(node, token, now(), inside.rules.lease.ttl_ms, JSON.stringify(locks), seq);
    tell(seq);
    return row && leaseOf(row);
  }

  function leaseOf({ task: json, attempt }: LeasedRow): Lease {
    const task: Task = JSON.parse(json);
    const { lease, admin_url, log_limit } = inside.rules;
    return {
      task,
      attempt,
      ...lease,
      timeout_ms: task.timeout_s > 0 ? task.timeout_s * 1000 : laneOf(inside.rules, task.lane).timeout_ms,
      log_limit,
      run_url: admin_url === null ? null : `${admin_url}/runs/${task.run_id}`,
    };
  }

  function nap(): number {
    const expiry = nextExpiry.get(now())?.at ?? null;
    return expiry === null ? longestNap : Math.min(longestNap, Math.max(1, expiry - now()));
  }

  const words = (node: string, held: Held[]): Word[] =>
    held.map(({ run_id, attempt }) => {
      const row = wordOf.get(run_id, node, attempt);
      return row ? (row.cancel === null ? "ok" : "cancel") : "stale";
    });

  function forgotten(node: string, held: Held[]): Held[] {
    const named = new Set(held.map(({ run_id, attempt }) => `${run_id} ${attempt}`));
    return mine
      .all(node)
      .filter(({ run_id, attempt }) => !named.has(`${run_id} ${attempt}`))
      .map(({ run_id, attempt }) => ({ run_id, attempt }));
  }

  return {
    async lease(ask: LeaseAsk, wait?: Wait): Promise<Lease | null> {
      const deadline = performance.now() + (wait?.ms ?? 0);
      let since = work.count;
      const first = await commit(() => {
        takeBack();
        settleWithNode(ask);
        return choose(ask);
      });
      if (first || !wait) return first;
      for (;;) {
        const left = deadline - performance.now();
        if (left <= 0 || wait.signal?.aborted) return null;
        await work.wait({ ms: Math.min(left, look(nap)), signal: wait.signal, since });
        since = work.count;
        if (wait.signal?.aborted || !look(() => worthALook.get(now())?.yes)) continue;
        const lease = await commit(() => {
          takeBack();
          // Nobody would read the answer.
          return wait.signal?.aborted ? null : choose(ask);
        });
        if (lease) return lease;
      }
    },

    async renew(node: string, held: Held[], wait?: Wait): Promise<Renewal> {
      const deadline = performance.now() + (wait?.ms ?? 0);
      let since = work.count;
      let said = await commit(() => {
        followClock();
        heard.run(now(), node);
        const answers = words(node, held);
        const { ttl_ms } = inside.rules.lease;
        held.forEach(({ run_id }, i) => answers[i] !== "stale" && extend.run(now(), ttl_ms, run_id));
        return answers;
      });
      while (said.every((word) => word === "ok")) {
        const left = deadline - performance.now();
        if (!wait || left <= 0 || wait.signal?.aborted) break;
        await work.wait({ ms: left, signal: wait.signal, since });
        since = work.count;
        said = look(() => words(node, held));
      }
      return { words: said, forgotten: look(() => forgotten(node, held)) };
    },

    followClock,

    reap: (): Promise<number> => commit(takeBack),

    /** Lets every lease last one ttl from now on: while the file had no owner nobody could renew, nor say how a run ended. */
    spare: (): void => void look(() => lengthen.run(now(), inside.rules.lease.ttl_ms)),
  };
}

const placeIn = (token: string): string => token.slice(0, Math.max(0, token.lastIndexOf(".")));
