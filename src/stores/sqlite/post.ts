import type { RunState } from "../../core/records.ts";
import type { ClaimAnswer, Claimed, Settlement } from "../store.ts";
import type { Inside } from "./inside.ts";

interface PostRecord {
  key: string;
  destination: string;
  subject: string;
  seq: number;
  state: RunState;
  announcement: string;
  tries: number;
  unsure: number;
  why: string | null;
  created_at: number;
  handle: string | null;
}

// A line is what one destination hears of one subject. In it a post may go when nothing before it is being sent or waits
// its turn; only a post whose send has failed, or that a pause of the destination held up, lets a newer one pass.
const mayGo = `
  p.status = 'waiting' AND p.due_at <= ? AND NOT EXISTS (
    SELECT 1 FROM post q WHERE q.subject = p.subject AND q.destination = p.destination AND q.seq < p.seq
      AND (q.status = 'sending' OR q.status = 'waiting' AND q.tries = 0 AND q.created_at >= ?))`;

/** Makes the verbs `claim` and `settle`. */
export function posting({ db, now, posts }: Inside) {
  const unclaim = db.prepare<null, [number, number]>(
    "UPDATE post SET status = 'waiting', unsure = 1, claim = NULL, due_at = ? WHERE status = 'sending' AND claim_until <= ?",
  );
  const claimedBy = db.prepare<{ key: string }, [string]>(
    "SELECT post_key AS key FROM post WHERE status = 'sending' AND claim = ?",
  );
  const pausedUntil = db.prepare<{ at: number }, [string]>("SELECT paused_until AS at FROM destination WHERE name = ?");
  const earliest = db.prepare<{ subject: string; due_at: number }, [string, number, number]>(
    `SELECT subject, due_at FROM post p WHERE p.destination = ? AND ${mayGo} ORDER BY p.due_at, p.rowid LIMIT 1`,
  );
  const newest = db.prepare<{ key: string }, [string, string, number, number]>(
    `SELECT post_key AS key FROM post p INDEXED BY post_line WHERE p.subject = ? AND p.destination = ? AND ${mayGo} ORDER BY p.seq DESC LIMIT 1`,
  );
  const start = db.prepare<null, [string, number, number, string]>(
    "UPDATE post SET status = 'sending', tries = tries + 1, claim = ?, claim_until = ?, at = ? WHERE post_key = ?",
  );
  const read = db.prepare<PostRecord, [string]>(`
    SELECT post_key AS key, p.destination, p.subject, seq, state, announcement, tries, unsure, why, created_at, handle
    FROM post p LEFT JOIN thread USING (subject, destination) WHERE post_key = ?`);
  const nextDue = db.prepare<{ at: number | null }, [string, number]>(
    "SELECT min(due_at) AS at FROM post WHERE status = 'waiting' AND destination = ? AND due_at > ?",
  );
  const nextFree = db.prepare<{ at: number | null }, []>(
    "SELECT min(claim_until) AS at FROM post WHERE status = 'sending'",
  );
  const waiting = db.prepare<{ destination: string; due_at: number; paused_until: number }, []>(`
    WITH RECURSIVE step (name) AS (
      SELECT min(destination) FROM post WHERE status = 'waiting'
      UNION ALL SELECT (SELECT min(destination) FROM post WHERE status = 'waiting' AND destination > step.name) FROM step
        WHERE step.name IS NOT NULL)
    SELECT step.name AS destination, coalesce(paused_until, 0) AS paused_until,
      (SELECT min(due_at) FROM post WHERE status = 'waiting' AND destination = step.name) AS due_at
    FROM step LEFT JOIN destination USING (name) WHERE step.name IS NOT NULL`);

  const found = db.prepare<
    {
      subject: string;
      destination: string;
      seq: number;
      status: string;
      claim: string | null;
      settled_by: string | null;
    },
    [string]
  >("SELECT subject, destination, seq, status, claim, settled_by FROM post WHERE post_key = ?");
  const putOff = db.prepare<null, [number, number, string | null, string, number, string]>(`
    UPDATE post SET status = 'waiting', due_at = ?, unsure = unsure OR ?, why = ?, claim = NULL, settled_by = ?, at = ? WHERE post_key = ?`);
  const close = db.prepare<null, [string, string | null, string, number, string]>(
    "UPDATE post SET status = ?, why = ?, claim = NULL, settled_by = ?, at = ? WHERE post_key = ?",
  );
  const replaceOlder = db.prepare<null, [number, string, string, number]>(
    "UPDATE post SET status = 'replaced', at = ? WHERE subject = ? AND destination = ? AND seq < ? AND status = 'waiting'",
  );
  const keepHandle = db.prepare<null, [string, string, string]>(`
    INSERT INTO thread (subject, destination, handle) VALUES (?, ?, ?)
    ON CONFLICT (subject, destination) DO UPDATE SET handle = excluded.handle`);
  const pause = db.prepare<null, [string, number, string | null]>(`
    INSERT INTO destination (name, paused_until, why) VALUES (?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET paused_until = max(paused_until, excluded.paused_until), why = excluded.why`);

  function choose(destinations: string[], time: number): string | null {
    let best: { destination: string; subject: string; due_at: number; pause: number } | null = null;
    for (const destination of destinations) {
      const until = pausedUntil.get(destination)?.at ?? 0;
      if (until > time) continue;
      const head = earliest.get(destination, time, until);
      if (head && (!best || head.due_at < best.due_at)) best = { destination, pause: until, ...head };
    }
    return best && (newest.get(best.subject, best.destination, time, best.pause)?.key ?? null);
  }

  function nextAt(destinations: string[], time: number): number | null {
    const times = destinations.map((destination) => {
      const due = nextDue.get(destination, time)?.at ?? null;
      const until = pausedUntil.get(destination)?.at ?? 0;
      if (until <= time) return due;
      return nextDue.get(destination, -1)?.at === null ? null : until;
    });
    return earliestOf([...times, nextFree.get()?.at ?? null]);
  }

  function claimed(key: string, claim: string): ClaimAnswer {
    const row = read.get(key);
    if (!row) return { post: null, next_at: null };
    const post: Claimed = { ...row, claim, unsure: row.unsure === 1, announcement: JSON.parse(row.announcement) };
    return { post };
  }

  return {
    claim(claim: string, ttl_ms: number, destinations: string[]): ClaimAnswer {
      const time = now();
      // Whoever claimed these is gone or frozen: nobody knows whether they arrived.
      unclaim.run(time, time);
      const same = claimedBy.get(claim);
      if (same) return claimed(same.key, claim);
      const key = choose(destinations, time);
      if (key === null) return { post: null, next_at: nextAt(destinations, time) };
      start.run(claim, time + ttl_ms, time, key);
      return claimed(key, claim);
    },

    settle(settlement: Settlement): "ok" | "stale" {
      const { key, claim, why = null, pause_until } = settlement;
      const post = found.get(key);
      if (post?.settled_by === claim) return "ok";
      if (post?.status !== "sending" || post.claim !== claim) return "stale";
      const time = now();
      const { subject, destination, seq } = post;
      if (settlement.verdict === "later") {
        putOff.run(time + settlement.due_in_ms, settlement.unsure ? 1 : 0, why, claim, time, key);
      } else {
        close.run(settlement.verdict, why, claim, time, key);
      }
      if (settlement.verdict === "sent") {
        replaceOlder.run(time, subject, destination, seq);
        if (settlement.handle !== undefined) keepHandle.run(subject, destination, settlement.handle);
      }
      if (pause_until !== undefined && pause_until > time) pause.run(destination, pause_until, why);
      posts.ring();
      return "ok";
    },

    /** When the next post may go, by the clock alone: in the past where one waits already, null where none waits. */
    dueAt: (): number | null =>
      earliestOf([
        ...waiting.all().map(({ due_at, paused_until }) => Math.max(due_at, paused_until)),
        nextFree.get()?.at ?? null,
      ]),
  };
}

function earliestOf(times: (number | null)[]): number | null {
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : Math.min(...known);
}
