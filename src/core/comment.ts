import { emoji } from "./announcement.ts";
import type { Announcement } from "./records.ts";
import { plainLine } from "./plain.ts";
import { webLink } from "./text.ts";
import { shortLine } from "./words.ts";

/** Trackers take 32,767 characters (Jira, which counts more than one sees) and more; a comment that people read is far shorter. */
export const longestComment = 8000;

const lines = 20;
const longestLine = 400;

/** `❌ MOB-12 failed · build-ios · main`. */
export function headOf({ state, issue_key, workflow, branch }: Announcement): string {
  const parts = [`${emoji[state]} ${issue_key ?? ""} ${state}`.replace("  ", " "), workflow, shortLine(branch, 255)];
  return parts.filter(Boolean).join(" · ");
}

/** What is known of the build, as names and values on one line each. */
export function statementsOf(a: Announcement): [name: string, value: string][] {
  const node = a.mesh_node_id && (a.attempt === null ? a.mesh_node_id : `${a.mesh_node_id} (attempt ${a.attempt})`);
  const all: [string, string | null][] = [
    ["Commit", a.commit],
    ["Failing target", a.failing_target],
    ["Node", node],
    ["Reason", a.reason],
  ];
  return all
    .map(([name, value]): [string, string] => [name, shortLine(value ?? "", longestLine)])
    .filter(([, value]) => value !== "");
}

/** The last lines of the log, as a terminal would show them, without blank ones around them. */
export function logOf({ log_tail }: Announcement): string[] {
  const tail = log_tail.slice(-lines).map((line) => plainLine(line, longestLine));
  const first = tail.findIndex((line) => line !== "");
  return first < 0 ? [] : tail.slice(first, tail.findLastIndex((line) => line !== "") + 1);
}

/** Where the whole log is: a page where one is configured, and always the command that prints it. */
export function whereToRead({ run_url, provider_run_id }: Announcement): { url: string | null; command: string } {
  return { url: webLink(run_url), command: `meshmac runs logs ${provider_run_id.replace(/[^\w.-]/g, "")}` };
}
