import type { Subject } from "./subjects.ts";

// First what gives the most: who has the store has everything, who has a door can start builds, a chat's address only talks.
const order: Subject["kind"][] = [
  "redis",
  "admin",
  "node",
  "connect",
  "door",
  "rest",
  "archive",
  "signing",
  "pager",
  "chat",
  "heartbeat",
  "tls",
];

/** Puts subjects in the order in which to replace them when something has leaked. */
export const inOrder = (subjects: Subject[]): Subject[] =>
  subjects.toSorted((one, other) => order.indexOf(one.kind) - order.indexOf(other.kind));

/** Says, for one subject, how it is replaced when the old value is in the wrong hands. */
export function urgently({ name, kind }: Subject): string {
  if (kind === "rest" || kind === "archive" || kind === "chat" || kind === "pager" || kind === "heartbeat") {
    return `${name}: revoke it on the other side now, before anything else; then bring the new one (--stdin) and commit`;
  }
  if (kind === "tls")
    return `${name}: stage a new pair, commit, see in status that every gateway shows it, revoke the old certificate`;
  return `${name}: put the new value in place on the other side, then commit, which does not wait until the old one is quiet; where the other side cannot be reached, commit --force refuses the old value at once`;
}
