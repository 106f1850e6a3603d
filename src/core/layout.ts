import { emoji, faultOf, logCommand, nodeOf, shortCommit } from "./announcement.ts";
import type { Announcement } from "./records.ts";
import { defang, oneLine, truncate, unlinked, webLink } from "./text.ts";
import { humanDuration } from "./units.ts";

// What a message says, line by line, before any chat's dialect: one order and one wording for all of them.

/** Words, a word that stands out, code, or a link of ours. All but a link's `url` is yet to be escaped. */
export type Piece = { words: string } | { strong: string } | { code: string } | { link: string; url: string };
export type Line = Piece[];

/** What a message begins with: the state, and the issue or workflow in at most `longest` code points. Not escaped. */
export const titleOf = (a: Announcement, longest = 300): string =>
  `${emoji[a.state]} ${truncate(oneLine(a.issue_key ?? a.workflow), longest)} ${a.state}`;

/** The lines under the title: what was built where, the summary, what went wrong, and the ways to more of it. */
export function linesOf(a: Announcement, longest = 300): Line[] {
  const ways = linksOf(a).map((link): Line => [link]);
  const command = logCommand(a);
  if (command !== null) ways.push([{ code: command }]);
  return [...factsOf(a, longest), joined(ways, " · ")].filter((line) => line.length > 0);
}

/** The same lines without the ways. A stranger's text takes at most `longest` code points, the summary 200 more. */
export function factsOf(a: Announcement, longest = 300): Line[] {
  const code = (text: string): Piece => ({ code: truncate(oneLine(text), longest) || "?" });
  const fault = faultOf(a);
  const node = nodeOf(a);
  const facts: Line[] = [];
  if (a.issue_key !== null) facts.push([code(a.workflow)]);
  if (a.branch !== "") facts.push([{ words: "on " }, code(a.branch)]);
  if (a.commit) facts.push([{ words: "at " }, code(shortCommit(a.commit))]);
  if (node) facts.push([{ words: "by " }, code(node)]);
  if (a.duration_ms !== null) facts.push([{ words: `in ${humanDuration(a.duration_ms)}` }]);
  const summary = truncate(oneLine(a.summary ?? ""), longest + 200);
  const because = { strong: a.state === "cancelled" ? "Why:" : "Failed:" };
  return [
    joined(facts, " "),
    summary === "" ? [] : [{ words: summary }],
    fault === null || fault === "" ? [] : [because, { words: " " }, code(fault)],
  ].filter((line) => line.length > 0);
}

/** The links to the log and to the issue, where there are some that may be shown. */
export function linksOf(a: Announcement): { link: string; url: string }[] {
  const ways = [
    { link: "log", url: shortLink(a.run_url) },
    { link: "issue", url: shortLink(a.issue_url) },
  ];
  return ways.flatMap(({ link, url }) => (url === null ? [] : [{ link, url }]));
}

/** What a piece shows, without its layout. */
export function wordsOf(piece: Piece): string {
  if ("url" in piece) return piece.link;
  return "code" in piece ? piece.code : "strong" in piece ? piece.strong : piece.words;
}

/** Writes a line for chats that know no layout: links in full, no word a mention or a link. */
export const plainly = (line: Line): string =>
  line
    .map((piece) => {
      if ("url" in piece) return `${piece.link}: ${piece.url}`;
      // A target or branch is copied from here: it stays as it is but for what would mention somebody.
      return "code" in piece ? defang(piece.code) : unlinked(defang(wordsOf(piece)));
    })
    .join("");

const longestLink = 2000;

/** Escaping makes a link longer, up to three times: one that is too long to be clicked on is none. */
function shortLink(url: string | null): string | null {
  const safe = webLink(url);
  return safe === null || safe.length > longestLink ? null : safe;
}

const joined = (lines: Line[], by: string): Line =>
  lines.flatMap((line, at) => (at === 0 ? line : [{ words: by }, ...line]));
