/** The next run of a lane that a node may have now. */
export interface Candidate {
  lane: string;
  priority: number;
  /** Epoch milliseconds; a run that came back keeps its first one. */
  queued_at: number;
  /** Rises with every run that is accepted. */
  seq: number;
}

// So much waiting is worth one step of priority.
const stepOfPriority_ms = 60_000;

/** A run that only locks have kept waiting for so long has its locks kept free for it. */
export const lockPatience_ms = 300_000;

/** By what is waited: of two runs the one with the earlier claim goes first. */
export const claimOf = ({ queued_at, priority }: Pick<Candidate, "queued_at" | "priority">): number =>
  queued_at - priority * stepOfPriority_ms;

/**
 * Chooses which lane goes next, or undefined where there is none. The run that has waited longest goes first, a step of
 * priority counting as a minute; lanes of its priority take turns, by when each was last leased from (`lastTurn`).
 * src/stores/redis/lease.lua does the same in Lua.
 */
export function nextTurn<C extends Candidate>(
  candidates: readonly C[],
  lastTurn: (lane: string) => number,
): C | undefined {
  const first = least(candidates, claimOf);
  const equals = candidates.filter(({ priority }) => priority === first?.priority);
  return least(equals, ({ lane, queued_at }) => Math.max(queued_at, lastTurn(lane)));
}

function least<C extends Candidate>(candidates: readonly C[], rank: (candidate: C) => number): C | undefined {
  let best: { candidate: C; at: number } | undefined;
  for (const candidate of candidates) {
    const at = rank(candidate);
    if (!best || at < best.at || (at === best.at && candidate.seq < best.candidate.seq)) best = { candidate, at };
  }
  return best?.candidate;
}
