import { emoji, logCommand } from "../core/announcement.ts";
import type { JsonObject } from "../core/json.ts";
import { factsOf, linksOf, type Piece } from "../core/layout.ts";
import type { Announcement, RunState } from "../core/records.ts";
import { defang, escapeWithin, joinLines, oneLine, withoutBackticks } from "../core/text.ts";

// The most that a message without an embed holds; every post stays within it, so that the plain one says as much.
const longest = 2000;

/** Lays an announcement out as a line, which notifications show, and an embed with the rest. */
export function richly(a: Announcement): { content: string; embeds?: JsonObject[] } {
  const description = joinLines(linesOf(a), longest, "utf16");
  return { content: titleOf(a), ...(description !== "" && { embeds: [{ color: color[a.state], description }] }) };
}

/** Says the same in one text. */
export const plainly = (a: Announcement): { content: string } => ({
  content: joinLines([titleOf(a), ...linesOf(a)], longest, "utf16"),
});

const color: Record<RunState, number> = {
  queued: 0x8b98a9,
  running: 0x2d7ff9,
  succeeded: 0x2e9e5b,
  failed: 0xd0353b,
  cancelled: 0x8b98a9,
  dead: 0x5d1a1a,
};

const titleOf = (a: Announcement): string =>
  `${emoji[a.state]} ${code(oneLine(a.issue_key ?? a.workflow))} **${a.state}**`;

function linesOf(a: Announcement): string[] {
  const links = linksOf(a).filter(({ url }) => url.length <= 700);
  const command = links.some(({ link }) => link === "log") ? null : logCommand({ ...a, run_url: null });
  const facts = factsOf(a, 150).map((line) => {
    // The gap keeps a stranger's line from being read as a heading, a list or a quotation.
    const start = line.every((piece) => "words" in piece) ? "\u200B" : "";
    return start + line.map(markdown).join("");
  });
  return [...facts, ...links.map(markdown), ...(command === null ? [] : [code(command)])];
}

function markdown(piece: Piece): string {
  // In angle brackets a link makes no preview.
  if ("url" in piece) return `[${piece.link}](<${piece.url}>)`;
  if ("code" in piece) return code(piece.code);
  return "strong" in piece ? `**${piece.strong}**` : escaped(piece.words);
}

const code = (text: string): string =>
  `\`${escapeWithin(defang(withoutBackticks(text)), 150, (sign) => sign, "utf16") || "?"}\``;

const escaped = (text: string): string =>
  escapeWithin(defang(text), 400, (sign) => (/[\\`*_~|#<>[\]()]/.test(sign) ? `\\${sign}` : sign), "utf16");
