import type { Settled, Settlement } from "../store.ts";
import type { gating } from "./circuit.ts";
import type { Inside } from "./inside.ts";

interface Found {
  subject: string;
  destination: string;
  seq: number;
  status: string;
  claim: string | null;
  settled_by: string | null;
  once_more: number;
}

/** Makes the verb `settle`. */
export function settling({ db, now, posts }: Inside, gates: Pick<ReturnType<typeof gating>, "feel" | "pause">) {
  const found = db.prepare<Found, [string]>(
    "SELECT subject, destination, seq, status, claim, settled_by, once_more FROM post WHERE post_key = ?",
  );
  const putOff = db.prepare<null, [number, number, string | null, string, number, string]>(`
    UPDATE post SET status = 'waiting', due_at = ?, unsure = unsure OR ?, why = ?, claim = NULL, settled_by = ?, at = ? WHERE post_key = ?`);
  const close = db.prepare<null, [string, string | null, string | null, string, number, string]>(
    "UPDATE post SET status = ?, why = ?, refused_under = ?, claim = NULL, settled_by = ?, at = ? WHERE post_key = ?",
  );
  const replaceOlder = db.prepare<null, [number, string, string, number]>(
    "UPDATE post SET status = 'replaced', at = ? WHERE subject = ? AND destination = ? AND seq < ? AND status = 'waiting'",
  );
  const keepHandle = db.prepare<null, [string, string, string]>(`
    INSERT INTO thread (subject, destination, handle) VALUES (?, ?, ?)
    ON CONFLICT (subject, destination) DO UPDATE SET handle = excluded.handle`);
  const addFollow = db.prepare<null, [string, string, string, number, number, number, string]>(`
    INSERT INTO post (post_key, subject, destination, seq, state, announcement, status, due_at, created_at, at)
    SELECT ?, subject, ?, seq, state, ?, 'waiting', ?, ?, ? FROM post WHERE post_key = ? ON CONFLICT (post_key) DO NOTHING`);
  const newerThan = db.prepare<{ key: string; status: string; again: string | null }, [string, string, number]>(`
    SELECT post_key AS key, status, again FROM post
    WHERE subject = ? AND destination = ? AND seq > ? AND status IN ('sent', 'sending') ORDER BY seq DESC LIMIT 1`);
  const askAgain = db.prepare<null, [string, string]>("UPDATE post SET again = ?, once_more = 1 WHERE post_key = ?");
  const sendAgain = db.prepare<null, [number, number, string]>(
    "UPDATE post SET status = 'waiting', once_more = 0, due_at = ?, at = ? WHERE post_key = ?",
  );

  /** A frozen gateway's try may have overwritten what came after it: that is sent once more, once per such claim. */
  function assertNewest({ subject, destination, seq }: Found, claim: string, time: number): void {
    const newest = newerThan.get(subject, destination, seq);
    if (!newest || newest.again === claim) return;
    askAgain.run(claim, newest.key);
    // One that is being sent now goes again when it is settled.
    if (newest.status === "sent") sendAgain.run(time, time, newest.key);
    posts.ring();
  }

  return function settle(settlement: Settlement): Settled {
    const { key, claim, why = null, pause_until } = settlement;
    const post = found.get(key);
    if (post?.settled_by === claim) return "ok";
    const time = now();
    if (post?.status !== "sending" || post.claim !== claim) {
      if (post && settlement.edited) assertNewest(post, claim, time);
      return "stale";
    }
    const { subject, destination, seq } = post;
    if (settlement.verdict === "later") {
      putOff.run(time + settlement.due_in_ms, settlement.unsure ? 1 : 0, why, claim, time, key);
    } else {
      close.run(settlement.verdict, why, refusedUnder(settlement), claim, time, key);
      // An older state is no news any more, whether this one arrived or never will.
      replaceOlder.run(time, subject, destination, seq);
    }
    if (settlement.verdict === "sent") {
      const { handle, follow } = settlement;
      if (handle !== undefined) keepHandle.run(subject, destination, handle);
      if (follow) {
        addFollow.run(follow.key, follow.destination, JSON.stringify(follow.announcement), time, time, time, key);
        keepHandle.run(subject, follow.destination, follow.handle);
      }
      if (post.once_more === 1) sendAgain.run(time, time, key);
    }
    if (pause_until !== undefined && pause_until > time) gates.pause(destination, pause_until, why);
    const turned = gates.feel(settlement.health, { claim, destination, why, time });
    posts.ring();
    return turned ?? "ok";
  };
}

/** The setup under which a post was refused for good; null where it ended otherwise. */
const refusedUnder = ({ verdict, health }: Settlement): string | null =>
  verdict === "dead" && health?.well === false && health.cause === "config" ? health.setup : null;
