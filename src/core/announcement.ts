import type { Announcement, RunState } from "./records.ts";
import { humanDuration } from "./units.ts";

export const emoji: Record<RunState, string> = {
  queued: "🕒",
  running: "🔨",
  succeeded: "✅",
  failed: "❌",
  cancelled: "🚫",
  dead: "💀",
};

/** Eight characters of a commit, as chats show it. */
export const shortCommit = (commit: string): string => commit.slice(0, 8);

/** One plain line that says it all: state, issue or workflow, branch, node, commit, time taken. Not escaped for any dialect. */
export function headline(a: Announcement): string {
  const parts = [
    `${emoji[a.state]} ${a.issue_key ?? a.workflow} ${a.state}`,
    a.issue_key ? a.workflow : null,
    a.branch,
    a.commit ? shortCommit(a.commit) : null,
    a.mesh_node_id && a.state !== "queued" ? `on ${a.mesh_node_id}` : null,
    a.duration_ms === null ? null : humanDuration(a.duration_ms),
    a.state === "failed" || a.state === "dead" ? (a.failing_target ?? a.reason) : null,
  ];
  return parts.filter(Boolean).join(" · ");
}
