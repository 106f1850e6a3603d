import type { RunState } from "../../core/records.ts";
import type { ClaimAnswer, Claimed } from "../store.ts";
import { gating } from "./circuit.ts";
import type { Inside } from "./inside.ts";
import { settling } from "./settle.ts";

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
  again: string | null;
}

// A line is what one destination hears of one subject. In it a post may go when none is being sent and nothing before it waits
// its turn; only a post whose send has failed, or that its destination held up, lets a newer one pass,
// and once that was tried the older one stays behind it: it may have arrived.
const mayGo = `
  p.status = 'waiting' AND p.due_at <= ? AND NOT EXISTS (
    SELECT 1 FROM post q WHERE q.subject = p.subject AND q.destination = p.destination
      AND (q.status = 'sending' OR q.seq < p.seq AND q.status = 'waiting' AND q.tries = 0 AND q.created_at >= ?
        OR q.seq > p.seq AND q.status = 'waiting' AND q.tries > 0))`;

/** Makes the verbs around posts: `claim`, `settle`, `destinations` and `reconsider`. */
export function posting(inside: Inside) {
  const { db, now } = inside;
  const gates = gating(inside);
  const unclaim = db.prepare<null, [number, number]>(
    "UPDATE post SET status = 'waiting', unsure = 1, claim = NULL, due_at = ? WHERE status = 'sending' AND claim_until <= ?",
  );
  const claimedBy = db.prepare<{ key: string }, [string]>(
    "SELECT post_key AS key FROM post WHERE status = 'sending' AND claim = ?",
  );
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
    SELECT post_key AS key, p.destination, p.subject, seq, state, announcement, tries, unsure, why, created_at, handle, again
    FROM post p LEFT JOIN thread USING (subject, destination) WHERE post_key = ?`);
  const nextDue = db.prepare<{ at: number | null }, [string, number]>(
    "SELECT min(due_at) AS at FROM post WHERE status = 'waiting' AND destination = ? AND due_at > ?",
  );
  const nextFree = db.prepare<{ at: number | null }, []>(
    "SELECT min(claim_until) AS at FROM post WHERE status = 'sending'",
  );
  // One step into the index per destination that has something waiting, however many posts that is.
  const waiting = db.prepare<{ destination: string; due_at: number }, []>(`
    WITH RECURSIVE step (name) AS (
      SELECT min(destination) FROM post WHERE status = 'waiting'
      UNION ALL SELECT (SELECT min(destination) FROM post WHERE status = 'waiting' AND destination > step.name) FROM step
        WHERE step.name IS NOT NULL)
    SELECT name AS destination, (SELECT min(due_at) FROM post WHERE status = 'waiting' AND destination = name) AS due_at
    FROM step WHERE name IS NOT NULL`);

  /** The next post of these destinations, or when there may be one. */
  function choose(
    destinations: string[],
    time: number,
  ): { key: string; destination: string } | { next_at: number | null } {
    const mine = new Set(destinations);
    const here = waiting.all().filter(({ destination }) => mine.has(destination));
    const times: (number | null)[] = [nextFree.get()?.at ?? null];
    for (const { destination, due_at } of here.toSorted((a, b) => a.due_at - b.due_at)) {
      const { open, heldUntil, at } = gates.passage(destination, time);
      if (open && due_at <= time) {
        const head = earliest.get(destination, time, heldUntil);
        const post = head && newest.get(head.subject, destination, time, heldUntil);
        if (post) return { ...post, destination };
      }
      // What is due and may not go waits behind a post being sent, whose settling rings.
      const due = open ? (nextDue.get(destination, time)?.at ?? null) : due_at;
      if (due !== null && at !== null) times.push(Math.max(due, at));
    }
    return { next_at: earliestOf(times) };
  }

  function claimed(key: string, claim: string): ClaimAnswer {
    const row = read.get(key);
    if (!row) return { post: null, next_at: null };
    const { again, announcement, unsure, ...rest } = row;
    const post: Claimed = { ...rest, claim, unsure: unsure === 1, announcement: JSON.parse(announcement) };
    return { post: again === null ? post : { ...post, again } };
  }

  return {
    claim(claim: string, ttl_ms: number, destinations: string[]): ClaimAnswer {
      const time = now();
      // Whoever claimed these is gone or frozen: nobody knows whether they arrived.
      gates.releaseLost(time);
      unclaim.run(time, time);
      const same = claimedBy.get(claim);
      if (same) return claimed(same.key, claim);
      const choice = choose(destinations, time);
      if ("next_at" in choice) return { post: null, ...choice };
      start.run(claim, time + ttl_ms, time, choice.key);
      if (gates.passage(choice.destination, time).probing) gates.letThrough(choice.destination, claim);
      return claimed(choice.key, claim);
    },

    settle: settling(inside, gates),
    destinations: gates.destinations,
    reconsider: gates.reconsider,

    /** When the next post may go, by the clock alone: in the past where one waits already, null where none waits. */
    dueAt(): number | null {
      const time = now();
      const times = waiting.all().map(({ destination, due_at }) => {
        const { at } = gates.passage(destination, time);
        return at === null ? null : Math.max(due_at, at);
      });
      return earliestOf([...times, nextFree.get()?.at ?? null]);
    },
  };
}

function earliestOf(times: (number | null)[]): number | null {
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : Math.min(...known);
}
