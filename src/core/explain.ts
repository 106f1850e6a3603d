import { judgeEntries } from "./build-when.ts";
import type { Move } from "./move.ts";
import type { Mark, Report, Task } from "./records.ts";
import type { BuildWhen } from "./wanted.ts";

/** The facts of a move that `build_when` can ask for, as a person reads them. */
export type Facts = Pick<
  Move,
  "event" | "issueKey" | "project" | "status" | "labels" | "components" | "issueType" | "changed" | "requestedBy"
>;

export interface Clause {
  entry: BuildWhen;
  holds: boolean;
  misses: string[];
}

/** Why a delivery asks for what it asks for. `reason` is the very text that its answer and its note carry. */
export interface Explanation {
  outcome: "queued" | "reported" | "ignored" | "refused";
  reason: string | null;
  hint: string | null;
  facts: Facts | null;
  /** Each entry of `build_when` with what of it did not hold. */
  clauses: Clause[];
  task: Task | null;
  marks: Mark[];
  /** How long the run would wait for a later move of its issue, in milliseconds; null where it would not, or nothing is queued. */
  debounce_ms: number | null;
  /** Whether it would end the run that waits for a later move of its issue. */
  calls_off: boolean;
  report: Report | null;
}

/** What a reading can be, whoever made it. */
export type Explained =
  | { task: Task; marks: Mark[]; move: Move }
  | { withdraw: string; why: string; move: Move }
  | { report: Report }
  | { ignored: string; callOff?: string; move: Move | null }
  | { refused: string; hint: string };

/** Explains what became of a body, and by which entries of `build_when`. Decides nothing itself. */
export function explain(
  reading: Explained,
  { build_when: entries, debounce }: { build_when: readonly BuildWhen[]; debounce?: number | undefined },
): Explanation {
  const nothing = { task: null, marks: [], debounce_ms: null, calls_off: false, report: null };
  const none = { reason: null, hint: null, facts: null, clauses: [], ...nothing };
  if ("refused" in reading) return { ...none, outcome: "refused", reason: reading.refused, hint: reading.hint };
  if ("report" in reading) return { ...none, outcome: "reported", report: reading.report };
  const { move } = reading;
  const seen = move ? { facts: factsOf(move), clauses: judgeEntries(entries, move) } : {};
  if ("ignored" in reading)
    return {
      ...none,
      ...seen,
      outcome: "ignored",
      reason: reading.ignored,
      calls_off: reading.callOff !== undefined,
    };
  if ("withdraw" in reading)
    return {
      ...none,
      ...seen,
      outcome: "ignored",
      reason: `cancel_when matched: ends what is queued of ${reading.withdraw}`,
    };
  const { task, marks } = reading;
  return { ...none, ...seen, outcome: "queued", task, marks, debounce_ms: debounce ?? null };
}

const factsOf = (move: Move): Facts => ({
  event: move.event,
  issueKey: move.issueKey,
  project: move.project,
  status: move.status,
  labels: move.labels,
  components: move.components,
  issueType: move.issueType,
  changed: move.changed,
  requestedBy: move.requestedBy,
});
