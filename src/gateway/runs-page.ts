import { shortCommit } from "../core/announcement.ts";
import type { Run } from "../core/records.ts";
import { humanDuration } from "../core/units.ts";
import { shortLine } from "../core/words.ts";
import type { Shown } from "../stores/store.ts";

/** Writes one run as plain text: its state, what it builds, where and when, what failed, what was said of it, and how to see the log. */
export function runPage({ run, posts, cancel }: Shown): string {
  const facts: [string, string | number | null][] = [
    ["state", run.reason === null ? run.state : `${run.state} (${run.reason})`],
    ["asked to stop", run.state === "running" ? cancel : null],
    ["issue", `${run.issue_key} ${run.summary}`],
    ["requested by", run.requested_by],
    ["source", run.source],
    ["lane", run.lane],
    ["script", run.script],
    ["repository", run.repo_url],
    ["ref", run.ref],
    ["commit", run.commit],
    ["failing target", run.failing_target],
    ["node", run.node],
    ["attempt", run.attempt === 0 ? null : run.attempt],
    ["lost attempts", run.lost === 0 ? null : run.lost],
    ["exit code", run.exit_code],
    ["queued", time(run.queued_at)],
    ["started", time(run.started_at)],
    ["ended", time(run.ended_at)],
    ["took", run.started_at !== null && run.ended_at !== null ? humanDuration(run.ended_at - run.started_at) : null],
    ["link", run.run_url],
    ["retry of", run.retry_of],
  ];
  const rows = facts
    .filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => `${name.padEnd(14)} ${shortLine(String(value), 1000)}`);
  const said = posts.map(
    ({ destination, state, status, tries, why }) =>
      `  ${destination}: ${state} ${status}, ${tries} ${tries === 1 ? "try" : "tries"}${why ? ` (${shortLine(why, 300)})` : ""}`,
  );
  return [
    `run ${run.run_id}`,
    "",
    ...rows,
    "",
    "posts",
    ...(said.length > 0 ? said : ["  none"]),
    "",
    `log: /runs/${run.run_id}/log, or meshmac runs logs ${run.run_id}`,
    "",
  ].join("\n");
}

/** Writes the newest runs as plain text, one line each. */
export function runsPage(runs: Run[]): string {
  const lines = runs.map((run) =>
    [
      time(run.queued_at),
      run.state.padEnd(9),
      shortLine(run.issue_key, 40).padEnd(12),
      shortLine(run.script, 40),
      shortLine(run.ref, 80),
      run.commit === null ? null : shortCommit(shortLine(run.commit, 64)),
      run.node === null ? null : `on ${run.node}`,
      `/runs/${run.run_id}`,
    ]
      .filter((part) => part !== null)
      .join("  "),
  );
  return `${["newest runs first", "", ...(lines.length > 0 ? lines : ["none yet"])].join("\n")}\n`;
}

const time = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
