import { defineCommand } from "citty";
import { humanDuration } from "../../src/core/units.ts";
import type { Shown } from "../../src/stores/store.ts";
import { configArgs, jsonArgs, print } from "../args.ts";
import { oneRun, runArg, withStore } from "./open.ts";
import { plain, table, when } from "./text.ts";

export default defineCommand({
  meta: { name: "show", description: "One run: its states, its node, what was told to whom" },
  args: { run: runArg, ...configArgs, ...jsonArgs },
  async run({ args }) {
    const shown = await withStore(args.config, (store) => oneRun(store, args.run));
    const { run, posts, cancel, locks, lock_wait_ms } = shown;
    if (args.json) return print(JSON.stringify({ ...run, posts, cancel, locks, lock_wait_ms }));
    print(describe(shown));
  },
});

function describe({ run, posts, cancel, result, locks, lock_wait_ms }: Shown): string {
  const took = run.started_at && run.ended_at ? humanDuration(run.ended_at - run.started_at) : null;
  const facts: [string, string | null][] = [
    ["run", run.run_id],
    ["state", run.reason ? `${run.state} (${run.reason})` : run.state],
    ["cancel", cancel],
    ["issue", `${run.issue_key} ${run.summary}`],
    ["asked by", run.requested_by],
    ["script", `${run.script} on lane ${run.lane}`],
    ["ref", `${run.ref}${run.repo_url ? ` of ${run.repo_url}` : ""}`],
    ["node", run.node && `${run.node} (attempt ${run.attempt}, lost ${run.lost})`],
    ["locks", locks.join(" ")],
    ["waited", lock_wait_ms > 0 ? `${humanDuration(lock_wait_ms)} for a lock alone` : null],
    ["queued", when(run.queued_at)],
    ["started", run.started_at && when(run.started_at)],
    ["ended", run.ended_at && `${when(run.ended_at)}${took ? `, took ${took}` : ""}`],
    ["exit", run.exit_code === null ? null : String(run.exit_code)],
    ["commit", run.commit],
    ["failing", run.failing_target],
    ["link", run.run_url],
    ["retry of", run.retry_of],
  ].filter((fact): fact is [string, string] => Boolean(fact[1]));
  const lines = facts.map(([name, value]) => `${name.padEnd(9)} ${plain(value ?? "")}`);
  if (posts.length > 0) {
    const rows = posts.map((post) => [post.destination, post.state, post.status, String(post.tries), post.why ?? ""]);
    lines.push("", table(["TOLD", "STATE", "STATUS", "TRIES", "WHY"], rows));
  }
  const tail = result?.log_tail ?? [];
  if (tail.length > 0) lines.push("", ...tail.map((line) => `  ${plain(line)}`));
  return lines.join("\n");
}
