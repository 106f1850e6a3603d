import type { Status } from "./status.ts";

/** Why a secret is on the list of what is due. */
export type Why = "overdue" | "window over" | "unfinished" | "unreadable" | "soon" | "no owner";

export interface Due {
  secret: string;
  owner: string | null;
  why: Why[];
  age_ms: number | null;
  every_ms: number;
}

const soon = 14 * 86_400_000;
/** What makes `due` end with 1; the others are only said. */
const pressing: readonly Why[] = ["overdue", "window over", "unfinished", "unreadable"];

/** Picks what needs somebody: overdue, staged for longer than its window, left half done, due within two weeks, or without an owner. */
export function dueIn(all: Status[]): Due[] {
  return all.flatMap(({ secret, owner, every_ms, expires_ms, current, next, window_over, doing, problem, ...rest }) => {
    const age_ms = current?.age_ms ?? null;
    const overdue = rest.overdue || (expires_ms !== null && expires_ms <= 0);
    const ages = age_ms !== null && every_ms - age_ms < Math.min(soon, every_ms / 4);
    const near = !overdue && (ages || (expires_ms !== null && expires_ms < soon));
    const why: Why[] = [
      // Who has begun is not overdue, unless he does not end.
      ...(overdue && !next ? (["overdue"] as const) : []),
      ...(window_over ? (["window over"] as const) : []),
      ...(doing ? (["unfinished"] as const) : []),
      ...(problem ? (["unreadable"] as const) : []),
      ...(near && !next ? (["soon"] as const) : []),
      ...(owner === null ? (["no owner"] as const) : []),
    ];
    return why.length === 0 ? [] : [{ secret, owner, why, age_ms, every_ms }];
  });
}

/** Whether one of them cannot wait. */
export const isPressing = ({ why }: Due): boolean => why.some((one) => pressing.includes(one));
