import { headline, logCommand } from "../core/announcement.ts";
import type { JsonObject } from "../core/json.ts";
import { factsOf, type Line, linksOf, type Piece, titleOf, wordsOf } from "../core/layout.ts";
import type { Announcement } from "../core/records.ts";
import { defang, escapeWithin, joinLines, oneLine, withoutBackticks } from "../core/text.ts";

/** Lays an announcement out in blocks; `text` is what notifications show. Strangers' words stand in plain text or between backticks. */
export function richly(a: Announcement): { text: string; blocks: JsonObject[] } {
  const facts = factsOf(a);
  const marked = facts.filter((line) => !isWords(line)).map((line) => line.map(mrkdwn).join(""));
  const ways = waysOf(a, 2900);
  return {
    text: escaped(headline(a), 3000),
    blocks: [
      // A header holds 150: https://docs.slack.dev/reference/block-kit/blocks/header-block
      { type: "header", text: plainText(titleOf(a, 100), 150) },
      ...(marked.length > 0 ? [{ type: "section", text: verbatim(marked.join("\n")) }] : []),
      ...facts.filter(isWords).map((line) => ({ type: "section", text: plainText(line.map(wordsOf).join(""), 1000) })),
      ...(ways.length > 0 ? [{ type: "context", elements: ways.map(verbatim) }] : []),
    ],
  };
}

/** Says the same in one text. */
export function plainly(a: Announcement): { text: string } {
  const facts = factsOf(a).map((line) =>
    line.map((piece) => (isWords(line) ? code(wordsOf(piece), 600) : mrkdwn(piece))).join(""),
  );
  return { text: joinLines([code(titleOf(a, 100), 150), ...facts, ...waysOf(a, 1400)], 4000, "codepoints") };
}

/** Words alone on a line may be a stranger's, and Slack's markup has no escape for what would format them. */
const isWords = (line: Line): boolean => line.every((piece) => "words" in piece);

// Names and addresses in a verbatim text stay text.
const verbatim = (text: string): JsonObject => ({ type: "mrkdwn", text, verbatim: true });

const plainText = (text: string, longest: number): JsonObject => ({ type: "plain_text", text: escaped(text, longest) });

/** The links to more, and the command where there is none to the log; none longer than `longest`. */
function waysOf(a: Announcement, longest: number): string[] {
  const links = linksOf(a).filter(({ url }) => entities(url).length <= longest);
  const command = links.some(({ link }) => link === "log") ? null : logCommand({ ...a, run_url: null });
  return [...links.map(mrkdwn), ...(command === null ? [] : [code(command, 100)])];
}

function mrkdwn(piece: Piece): string {
  if ("url" in piece) return `<${entities(piece.url)}|${piece.link}>`;
  if ("code" in piece) return code(piece.code, 400);
  return "strong" in piece ? `*${piece.strong}*` : piece.words;
}

const code = (text: string, longest: number): string => `\`${escaped(withoutBackticks(text), longest)}\``;

// What Slack decodes again, in markup and in plain text alike: https://docs.slack.dev/messaging/formatting-message-text#escaping
const entity = new Map([
  ["&", "&amp;"],
  ["<", "&lt;"],
  [">", "&gt;"],
]);

const entities = (text: string): string => text.replace(/[&<>]/g, (sign) => entity.get(sign) ?? "");

const escaped = (text: string, longest: number): string =>
  escapeWithin(defang(oneLine(text)), longest, (sign) => entity.get(sign) ?? sign);
