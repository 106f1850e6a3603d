import type { Move } from "../../src/core/move.ts";

/** A move of MOB-12 to Building, with what a test says of it. */
export function moved(said: Partial<Move> = {}): Move {
  return {
    deliveryId: null,
    event: "jira:issue_updated",
    about: "issue",
    touched: null,
    issueKey: "MOB-12",
    issueId: "10012",
    issueUrl: null,
    project: ["MOB", "Mobile apps"],
    status: ["Building", "indeterminate"],
    labels: ["ci-build"],
    components: [],
    issueType: ["Bug"],
    changed: {},
    transitionId: null,
    summary: "Crash when the list is empty",
    requestedBy: "Ada Example",
    issue: {},
    body: {},
    ...said,
  };
}
