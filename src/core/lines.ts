import { keyBegins, keyEnds, keyHint } from "./redact-patterns.ts";
import { cover, type FindSpans, type Span } from "./spans.ts";

const longestLine = 65_536;
// A secret that begins before a cut is recognised by what stands within this distance.
const margin = 8192;
// Lines after which a private key without an end is taken for talk about keys.
const longestKey = 256;

/**
 * Masks a text that arrives in pieces, whole lines at a time, so that no secret passes in two halves: any split of the
 * same text gives the same masked text. A line over 64 KiB is let go in parts, never cut inside a secret.
 */
export class LineMask {
  readonly #find: FindSpans;
  /** The line that has no end yet, as it came. */
  #held = "";
  /** How much of `#held` was let go while the writer was quiet. */
  #gone = 0;
  /** Lines left of a private key that has begun, or 0. */
  #inKey = 0;

  constructor(find: FindSpans) {
    this.#find = find;
  }

  /** Takes the next piece; returns what is now safe to show. */
  push(piece: string): string {
    const text = this.#held + piece;
    if (!piece.includes("\n") && text.length < longestLine) {
      this.#held = text;
      return "";
    }
    let shown = "";
    let block = 0; // where the lines begin that are masked together
    let line = 0;
    for (;;) {
      const newline = text.indexOf("\n", line);
      const end = newline === -1 ? text.length : newline + 1;
      if (end - line >= longestLine) {
        shown += this.#mask(text.slice(block, line));
        const part = this.#cut(text.slice(line, line + longestLine));
        shown += part.shown;
        block = line = line + part.length;
        continue;
      }
      if (newline === -1) break;
      line = end;
    }
    shown += this.#mask(text.slice(block, line));
    this.#held = text.slice(line);
    return shown;
  }

  /** Takes a piece that nobody will see: what comes after it is masked as if it had been shown. */
  skip(piece: string): void {
    const line = piece.lastIndexOf("\n") + 1;
    const seam = this.#held + piece.slice(0, keyHint.length);
    const plain = line > 0 && piece.length - line < longestLine && this.#inKey === 0;
    // Only a private key reaches over a line's end.
    if (!plain || seam.includes(keyHint) || piece.includes(keyHint)) return void this.push(piece);
    this.#held = piece.slice(line);
    this.#gone = 0;
  }

  /** True while a private key is open: then every line that is skipped counts. */
  get isInKey(): boolean {
    return this.#inKey > 0;
  }

  /** How many characters were taken that were neither shown nor skipped. */
  get waiting(): number {
    return this.#held.length - this.#gone;
  }

  /** Returns what can be shown of an unfinished line because its writer is quiet: up to the last white space. */
  quiet(): string {
    if (this.#inKey > 0 || this.#held.includes(keyHint)) return "";
    const end = lastBlank(this.#held) + 1;
    if (end <= this.#gone) return "";
    const spans = this.#find(this.#held).filter(({ hide }) => hide < end);
    const from = this.#gone;
    // A secret that reaches over the end (a quoted one, with blanks) waits for its rest.
    const safe = Math.min(end, ...spans.filter(({ to }) => to > end).map(({ hide }) => hide));
    if (safe <= from) return "";
    this.#gone = safe;
    return coverUpTo(safe, this.#held, spans, from);
  }

  /** Returns the rest, masked; nothing comes after it. */
  end(): string {
    const rest = this.#held;
    this.#held = "";
    return this.#mask(rest);
  }

  /** Shows the first part of a line that is too long, and says how much of it that was. */
  #cut(head: string): { shown: string; length: number } {
    const spans = this.#find(head);
    const begin = lastMatch(keyBegins, head);
    if (begin && !keyEnds.test(head.slice(begin.index)))
      spans.push({ from: begin.index, hide: begin.index, to: head.length });
    const blank = lastBlank(head.slice(0, longestLine - margin)) + 1;
    let at = Math.max(blank > margin ? blank : longestLine - margin, this.#gone);
    for (const { from, to } of spans.toSorted((a, b) => b.from - a.from)) if (from < at && at < to) at = from;
    if (at <= this.#gone) at = head.length; // one secret fills it all
    const shown = this.#inKey > 0 ? "***" : coverUpTo(at, head, spans, this.#gone);
    if (keyEnds.test(head.slice(0, at))) this.#inKey = 0;
    this.#gone = 0;
    return { shown, length: at };
  }

  /** Masks whole lines; the first one may have been shown in part. */
  #mask(block: string): string {
    if (block === "") return "";
    const start = this.#gone;
    this.#gone = 0;
    if (this.#inKey === 0 && !block.includes(keyHint)) return cover(block, this.#find(block), { start });
    const lines = block.split(/(?<=\n)/);
    return lines.map((line, index) => this.#maskBesideKeys(line, index === 0 ? start : 0)).join("");
  }

  #maskBesideKeys(line: string, start: number): string {
    const spans = this.#find(line);
    const bare = line.replace(/\r?\n$/, "");
    if (this.#inKey > 0) {
      const end = keyEnds.exec(line);
      this.#inKey = end ? 0 : this.#inKey - 1;
      spans.push({ from: 0, hide: 0, to: end ? end.index + end[0].length : bare.length });
    } else {
      const begin = lastMatch(keyBegins, line);
      if (begin && !keyEnds.test(line.slice(begin.index))) {
        this.#inKey = longestKey;
        spans.push({ from: begin.index, hide: begin.index, to: bare.length });
      }
    }
    return cover(line, spans, { start });
  }
}

/** Masks a part of a text; a secret that begins behind it leaves no trace in it. */
function coverUpTo(end: number, text: string, spans: Span[], start: number): string {
  const within = spans.filter(({ hide }) => hide < end);
  return cover(text.slice(0, end), within, { start });
}

function lastBlank(text: string): number {
  return Math.max(text.lastIndexOf(" "), text.lastIndexOf("\t"), text.lastIndexOf("\r"), text.lastIndexOf("\n"));
}

function lastMatch(pattern: RegExp, text: string): RegExpExecArray | null {
  let last: RegExpExecArray | null = null;
  for (const found of text.matchAll(new RegExp(pattern, "g"))) last = found;
  return last;
}
