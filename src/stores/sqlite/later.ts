import { wishOf } from "../../core/debounce.ts";
import type { Mark, Task } from "../../core/records.ts";
import type { Entry } from "../store.ts";
import type { Inside } from "./inside.ts";
import type { Changes } from "./run.ts";

/** A run that still waits for a later move of its issue. */
export interface WaitingRun {
  seq: number;
  run_id: string;
  task: string;
  queued_at: number;
  not_before: number;
  intents: string | null;
}

/** An entry that waits for a later move of its issue. */
export type Debounced = Required<Pick<Entry, "debounce">> & Entry;

/** Makes what is done with runs that wait out their `debounce`, and the verb `callOff`. */
export function waiting({ db, now }: Inside, { end }: Pick<Changes, "end">) {
  const find = db.prepare<WaitingRun, [string, string, number]>(`
    SELECT seq, run_id, task, queued_at, not_before, intents FROM run INDEXED BY run_issue
    WHERE source = ? AND issue_key = ? AND state = 'queued' AND attempt = 0 AND not_before > ? ORDER BY seq DESC LIMIT 1`);
  const put = db.prepare<null, [number, string, number]>("UPDATE run SET not_before = ?, intents = ? WHERE seq = ?");
  const change = db.prepare<null, [string, string, string, number]>(
    "UPDATE run SET lane = ?, line = ?, task = ? WHERE seq = ?",
  );
  /** What names no issue has no later move. */
  const waitingOf = (source: string, issue_key: string): WaitingRun | null =>
    issue_key === "" ? null : find.get(source, issue_key, now());

  return {
    waitingOf,

    /** Lets a run that was just queued wait. */
    delay(seq: number, { debounce, marks }: Debounced): void {
      put.run(now() + debounce.wait_ms, intentsOf(marks), seq);
    },

    /** Puts a later task into the run that waits, and answers the intents that nobody is going to build any more. */
    replace(run: WaitingRun, { task, marks, debounce }: Debounced): string[] {
      const json = JSON.stringify({ ...task, run_id: run.run_id } satisfies Task);
      change.run(task.lane, `${task.lane}/${task.script}`, json, run.seq);
      const due = Math.min(Math.max(run.not_before, now() + debounce.wait_ms), run.queued_at + debounce.most_ms);
      put.run(due, intentsOf(marks), run.seq);
      const before: string[] = JSON.parse(run.intents ?? "[]");
      return before.filter((key) => !marks.some((mark) => mark.key === key));
    },

    callOff(source: string, issue_key: string, why: string): string | null {
      const run = waitingOf(source, issue_key);
      if (run) end(run.seq, { state: "cancelled", reason: why });
      return run?.run_id ?? null;
    },
  };
}

export type Waiting = ReturnType<typeof waiting>;

/** Whether a task says nothing that the waiting run does not say: then it is the same move once more. */
export const saysTheSame = (run: WaitingRun, task: Task): boolean => wishOf(JSON.parse(run.task)) === wishOf(task);

const intentsOf = (marks: Mark[]): string =>
  JSON.stringify(marks.filter(({ key, only }) => !key.startsWith("d/") && only !== "look").map(({ key }) => key));
