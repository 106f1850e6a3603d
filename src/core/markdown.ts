import { headOf, logOf, longestComment, statementsOf, whereToRead } from "./comment.ts";
import { plainLine } from "./plain.ts";
import type { Announcement } from "./records.ts";

const longestSpan = 300;

/** Puts a stranger's text into a code span of one line: a longer row of backticks around than any within, and mentions broken up, as not every reader respects code. */
export function codeSpan(stranger: string): string {
  const line = withoutMentions(plainLine(stranger, longestSpan).trim());
  const fence = "`".repeat(longestRow(line) + 1);
  const space = fence.length > 1 ? " " : "";
  return line === "" ? "" : `${fence}${space}${line}${space}${fence}`;
}

/**
 * Writes the comment on an issue in Markdown: state, what is known of the build, the end of the log, where the rest is. Where
 * the reader hides HTML comments, the marker stands in one. At most 8,000 characters: the oldest lines of the log go first.
 */
export function markdownComment(a: Announcement, marker: string, { hidden }: { hidden: boolean }): string {
  const statements = statementsOf(a).map(([name, value]) => `- ${name}: ${codeSpan(value)}`);
  const { url, command } = whereToRead(a);
  const rest = url === null ? `\`${command}\`` : `[Full log](${url})`;
  const last = `${rest} ${hidden ? `<!-- ${marker} -->` : `· ${marker}`}`;
  const head = headOf({ ...a, workflow: codeSpan(a.workflow), branch: codeSpan(a.branch) });
  const parts = (log: string[]) => [head, statements.join("\n"), fenced(log), last].filter(Boolean).join("\n\n");
  let log = logOf(a);
  while (log.length > 0 && parts(log).length > longestComment) log = log.slice(1);
  return parts(log);
}

function fenced(log: string[]): string {
  if (log.length === 0) return "";
  const text = withoutMentions(log.join("\n"));
  const fence = "`".repeat(Math.max(3, longestRow(text) + 1));
  return `${fence}\n${text}\n${fence}`;
}

const withoutMentions = (text: string): string => text.replace(/@(?=[\p{L}\p{N}_])/gu, "@\u200B");

const longestRow = (text: string): number => Math.max(0, ...[...text.matchAll(/`+/g)].map(([row]) => row.length));
