import type { Json } from "../core/json.ts";
import type { Announcement } from "../core/records.ts";
import { headOf, logOf, longestComment, statementsOf, whereToRead } from "../core/comment.ts";

/** Writes the comment as an Atlassian document: nothing in it is markup, and no text node is empty (Jira refuses those). */
export function adfBody(announcement: Announcement, marker: string): Json {
  const log = logOf(announcement);
  let document = adf(announcement, log, marker);
  while (log.length > 0 && JSON.stringify(document).length > longestComment) {
    log.shift();
    document = adf(announcement, log, marker);
  }
  return document;
}

function adf(announcement: Announcement, log: string[], marker: string): Json {
  const { url, command } = whereToRead(announcement);
  const lines = statementsOf(announcement).map(([name, value]) => `${name}: ${value}`);
  const content = [
    paragraph(words(headOf(announcement), [{ type: "strong" }])),
    lines.length > 0 && paragraph(...lines.flatMap((line, i) => (i > 0 ? [lineBreak, words(line)] : [words(line)]))),
    log.length > 0 && { type: "codeBlock", attrs: { language: "text" }, content: [words(log.join("\n"))] },
    paragraph(
      url ? words("Full log", [{ type: "link", attrs: { href: url } }]) : words(command, [{ type: "code" }]),
      words(` · ${marker}`),
    ),
  ];
  return { type: "doc", version: 1, content: content.filter((node) => node !== false) };
}

const lineBreak: Json = { type: "hardBreak" };
const paragraph = (...content: Json[]): Json => ({ type: "paragraph", content });
const words = (text: string, marks?: Json[]): Json => ({ type: "text", text, ...(marks && { marks }) });
