import { humanDuration } from "../../src/core/units.ts";
import type { Objection } from "../../src/rotation/verdict.ts";
import type { Status } from "../../src/rotation/status.ts";

const day = 86_400_000;

/** Writes an age as people say it. */
export const age = (ms: number): string => (ms < 2 * day ? humanDuration(ms) : `${Math.floor(ms / day)} d`);

/** In one or two words, where a secret stands. */
export function standing({ problem, doing, next, overdue, window_over, objections, current }: Status): string {
  if (problem) return "unreadable";
  if (doing) return `${doing} unfinished`;
  if (next) return window_over ? "staged, window over" : objections?.length === 0 ? "ready to commit" : "staged";
  if (!current) return "no value yet";
  return overdue ? "overdue" : "current";
}

/** Everything about one secret, a line each. */
export function described(status: Status): string[] {
  const { secret, kind, system, owner, every_ms, window_ms, current, next, prev, doing, problem } = status;
  if (problem) return [`${secret}: ${problem.says}`, ...(problem.hint === null ? [] : [`  hint: ${problem.hint}`])];
  const what = kind === system ? kind : `${kind}, ${system}`;
  return [
    `${secret}  (${what})`,
    `  owner    ${owner ?? "none (rotation.owner)"}; every ${age(every_ms)}`,
    current ? `  current  ${current.key_id}, ${age(current.age_ms)} old` : "  current  none",
    ...(next
      ? [
          `  staged   ${next.key_id}, since ${age(next.age_ms)}, ${next.reason}; window ${age(window_ms)}${status.window_over ? ", over: commit or abort" : ""}`,
        ]
      : []),
    ...(prev ? [`  before   ${prev.key_id}, accepted by nobody; undo for ${age(prev.left_ms)} more`] : []),
    ...(doing ? [`  a ${doing} was begun and not finished: the next command finishes it`] : []),
    ...status.uses.map(
      ({ key_id, role, count, refused, idle_ms, by }) =>
        `  used     ${key_id} (${role}) ${count} ${count === 1 ? "time" : "times"}${refused > 0 ? `, ${refused} refused` : ""}, last ${age(idle_ms ?? 0)} ago at ${by ?? "?"}`,
    ),
    ...status.gateways.map(
      ({ gateway, loaded, told_ms }) =>
        `  gateway  ${gateway}: ${loaded === null ? "does not use it" : loaded.map(({ key_id, loaded_ms }) => `${key_id} loaded ${age(loaded_ms)} ago`).join(", ")}${told_ms === null ? ", has said nothing yet" : ""}`,
    ),
    ...stepLines(status.steps),
    ...(status.objections ?? []).map(({ says }) => `  not yet  ${says}`),
    ...(next && status.objections?.length === 0 ? [`  ready    meshmac rotate commit ${secret}`] : []),
  ];
}

/** The steps, those done ticked off; of some it cannot be seen. */
export const stepLines = (steps: Status["steps"]): string[] =>
  steps.map(({ say, done }) => `  ${done === null ? "[ ]" : done ? "[x]" : "[.]"} ${say}`);

/** What those who forced it have to expect. */
export const brokenBy = (forced: Objection[]): string[] =>
  forced.flatMap(({ says, breaks }) => [`forced although ${says}`, `  so ${breaks}`]);
