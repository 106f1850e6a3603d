import { finderOf, needlesOf } from "./redact-exact.ts";
import { keyBegins, keyEnds, keyHint, patternSpans } from "./redact-patterns.ts";
import { cover, type FindSpans, type Span } from "./spans.ts";

/** Hides what looks like a secret (`***`): tokens of known services, passwords in URLs, private keys, values of telling names. */
export function maskPatterns(text: string): string {
  const spans = patternSpans(text);
  if (text.includes(keyHint)) spans.push(...keyBlocks(text));
  return spans.length === 0 ? text : cover(text, spans);
}

/**
 * Makes a mask that hides these very values and their Base64 (at any offset), URL, JSON and XML forms, and of a URL also
 * its password, path token and query values. Forms under six characters are left alone. `keepLength` hides with as many asterisks.
 */
export function exactMask(values: string[], { keepLength = false } = {}): (text: string) => string {
  const find = exactSpans(values);
  return (text) => {
    const spans = find(text);
    return spans.length === 0 ? text : cover(text, spans, { keepLength });
  };
}

/** Finds where these values or their encodings are. */
export function exactSpans(values: string[]): FindSpans {
  return finderOf(needlesOf(values));
}

/** Finds all that must not leave a node: by pattern, and by the values that it holds. */
export function secretSpans(values: string[]): FindSpans {
  const exact = exactSpans(values);
  return (text) => [...patternSpans(text), ...exact(text)];
}

/** Makes a mask for one text that hides both: what looks like a secret, and these values. */
export function secretMask(values: string[]): (text: string) => string {
  const exact = exactMask(values);
  return (text) => maskPatterns(exact(text));
}

// A key without its end hides this much of what follows, and no more.
const longestKey = 16_384;

function keyBlocks(text: string): Span[] {
  const spans: Span[] = [];
  for (let at = 0; ;) {
    const begin = keyBegins.exec(text.slice(at));
    if (!begin) return spans;
    const from = at + begin.index;
    const rest = text.slice(from, from + longestKey);
    const end = keyEnds.exec(rest);
    const to = from + (end ? end.index + end[0].length : rest.length);
    spans.push({ from, hide: from, to });
    at = to;
  }
}
