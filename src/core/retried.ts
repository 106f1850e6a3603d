import type { Mark, Task } from "./records.ts";

/** Makes of a task what queues the same work again as a new run: no marks, so nothing that went before makes it a duplicate. */
export function retried(
  task: Task,
  run_id: string,
  now: number,
): { task: Task; marks: Mark[]; seen_at: number; retry_of: string } {
  return { task: { ...task, run_id, accepted_at: now }, marks: [], seen_at: now, retry_of: task.run_id };
}
