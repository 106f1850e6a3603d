import type { EndState } from "../../core/records.ts";
import type { Unheard } from "../store.ts";
import type { Inside } from "./inside.ts";

interface Owed {
  subject: string;
  seq: number;
  state: Extract<EndState, "failed" | "dead">;
  created_at: number;
  announcement: string;
}

/** Makes the verb `unheard`. */
export function listening({ db, now }: Inside) {
  // Of a state's posts the oldest row stands for all of them. What is to be sent once more was sent.
  const owed = db.prepare<Owed, [number, number]>(`
    SELECT subject, seq, state, created_at, announcement FROM post p
    WHERE state IN ('failed', 'dead') AND status IN ('waiting', 'sending', 'dead') AND created_at <= ?
      AND NOT EXISTS (SELECT 1 FROM post q WHERE q.subject = p.subject AND q.seq = p.seq
        AND (q.status IN ('sent', 'replaced') OR q.again IS NOT NULL AND q.once_more = 0 OR q.rowid < p.rowid))
    ORDER BY created_at DESC, rowid DESC LIMIT ?`);
  const postsOf = db.prepare<Unheard["posts"][number], [string, number]>(
    "SELECT destination, status, why FROM post WHERE subject = ? AND seq = ? ORDER BY destination",
  );

  return (age_ms: number, limit: number): Unheard[] =>
    owed.all(now() - age_ms, limit).map(({ subject, seq, state, created_at, announcement }) => ({
      subject,
      state,
      since: created_at,
      announcement: JSON.parse(announcement),
      posts: postsOf.all(subject, seq),
    }));
}
