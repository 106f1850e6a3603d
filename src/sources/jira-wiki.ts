import type { Announcement } from "../core/records.ts";
import { headOf, logOf, longestComment, statementsOf, whereToRead } from "../core/comment.ts";

/** Writes the comment in the wiki markup of Jira Data Center, with everything that a stranger wrote escaped. */
export function wikiBody(announcement: Announcement, marker: string): string {
  const log = logOf(announcement).map(inCode);
  let text = wiki(announcement, log, marker);
  while (log.length > 0 && text.length > longestComment) {
    log.shift();
    text = wiki(announcement, log, marker);
  }
  return text;
}

function wiki(announcement: Announcement, log: string[], marker: string): string {
  const { url, command } = whereToRead(announcement);
  return [
    escape(headOf(announcement)),
    ...statementsOf(announcement).map(([name, value]) => `${name}: ${escape(value)}`),
    ...(log.length > 0 ? ["{code}", ...log, "{code}"] : []),
    `${url ? `[Full log|${url.replace(/[{}]/g, encodeURIComponent)}]` : `{{${command}}}`} · ${marker}`,
  ].join("\n");
}

// What a backslash takes the meaning of: https://jira.atlassian.com/secure/WikiRendererHelpAction.jspa?section=all
const always = /[\\{}[\]|!]/g;
// Emphasis counts only at the edge of a word: `mac-07` and `testLogin_fails` stay as they are.
const atEdge = /(?<![\p{L}\p{N}])[*_\-+^~?%@]|[*_\-+^~?%@](?![\p{L}\p{N}])/gu;

const escape = (stranger: string): string =>
  stranger.replace(always, (sign) => (sign === "\\" ? "&#92;" : `\\${sign}`)).replace(atEdge, (sign) => `\\${sign}`);

/** A log may print `{code}` itself; a zero-width space keeps it from closing ours. */
const inCode = (line: string): string => line.replace(/\{(?=\s*(?:code|noformat))/gi, "{\u200B");
