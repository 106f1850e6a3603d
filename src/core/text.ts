// Untrusted text made safe to show: one rule each, and the dialects (a chat's Markdown, a tracker's markup) build on these.

export type TextUnit = "codepoints" | "utf16" | "bytes";

/** Measures a text in code points, UTF-16 units or UTF-8 bytes. */
export function lengthIn(unit: TextUnit, text: string): number {
  if (unit === "utf16") return text.length;
  if (unit === "bytes") return Buffer.byteLength(text);
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** Cuts a text to at most `limit` units, the ending `…` included; never inside a surrogate pair. */
export const truncate = (text: string, limit: number, unit: TextUnit = "codepoints"): string =>
  lengthIn(unit, text) <= limit ? text : cut(text, limit, unit);

/** Joins lines, each as a whole: one that would make the text longer than `limit` units is left out. */
export function joinLines(lines: (string | null)[], limit: number, unit: TextUnit): string {
  return lines.reduce((text: string, line) => {
    const longer = line && (text === "" ? line : `${text}\n${line}`);
    return longer && lengthIn(unit, longer) <= limit ? longer : text;
  }, "");
}

/** Escapes a text character by character and cuts what comes out as `truncate` does; never inside an escape. */
export function escapeWithin(
  text: string,
  limit: number,
  escape: (character: string) => string,
  unit: TextUnit = "codepoints",
): string {
  const parts = Array.from(text, escape);
  const whole = parts.join("");
  return lengthIn(unit, whole) <= limit ? whole : cut(parts, limit, unit);
}

function cut(parts: Iterable<string>, limit: number, unit: TextUnit): string {
  const room = limit - lengthIn(unit, "…");
  if (room < 0) return "";
  let kept = "";
  let used = 0;
  for (const part of parts) {
    used += lengthIn(unit, part);
    if (used > room) break;
    kept += part;
  }
  return `${kept}…`;
}

// C0 and C1, and what is invisible but reorders or hides: bidirectional marks, overrides and isolates, tags, BOM, soft hyphen.
const invisible =
  /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u00AD\u061C\u200E\u200F\u202A-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB\u{E0000}-\u{E007F}]/gu;
const breaks = /\r\n?|[\u0085\u2028\u2029]/g;

/** Drops control and direction-changing characters, keeps line breaks and tabs; a lone surrogate becomes U+FFFD. */
export function stripControls(text: string): string {
  return text.toWellFormed().replace(breaks, "\n").replace(invisible, "");
}

/** Puts a text on one line, without control characters and surplus blanks. */
export function oneLine(text: string): string {
  return stripControls(text).replace(/\s+/g, " ").trim();
}

const gap = "\u200B";

/**
 * Breaks what chats read out of plain text: a mention (`@all`), a token in angle brackets (`<!here>`, `<a|b>`), a bare
 * link. A zero-width space goes behind the character that would start it, so the text still reads the same.
 */
export function defang(text: string): string {
  return text
    .replace(/[@<]/g, `$&${gap}`)
    .replace(/:\/\//g, `:${gap}//`)
    .replace(/www\./gi, (start) => `${start.slice(0, -1)}${gap}.`);
}

/** Breaks a bare domain (`evil.example`), of which some clients make a link although it has no scheme. */
export const unlinked = (text: string): string => text.replace(/\.(?=\p{L})/gu, `.${gap}`);

/** Makes text safe between backticks: a backtick inside would end the code. Fences need it too, line by line. */
export function withoutBackticks(text: string): string {
  return text.replaceAll("`", "'");
}

/** A link that anything of ours may show: http(s), no credentials, and no character that ends a link in Markdown; else null. */
export function webLink(text: string | null): string | null {
  const url = text === null || text.length > 2000 ? null : URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") return null;
  const rest = `${url.pathname}${url.search}${url.hash}`.replace(
    /[()[\]<>|@`'"*_~\\]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
  const link = `${url.protocol}//${url.host}${rest}`;
  return link.length > 2000 ? null : link; // escapes make a long one longer
}
