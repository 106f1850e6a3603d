/** A stretch of text that belongs together (`from`…`to`, never cut inside) of which `hide`…`to` is secret. */
export interface Span {
  from: number;
  hide: number;
  to: number;
}

export type FindSpans = (text: string) => Span[];

/** Sorts spans and joins those whose hidden parts touch, so that each hidden part is covered once. */
export function joined(spans: Span[]): Span[] {
  if (spans.length < 2) return spans;
  const sorted = spans.toSorted((a, b) => a.hide - b.hide);
  const whole: Span[] = [];
  for (const span of sorted) {
    const last = whole.at(-1);
    if (last && span.hide < last.to) {
      last.from = Math.min(last.from, span.from);
      last.to = Math.max(last.to, span.to);
    } else whole.push({ ...span });
  }
  return whole;
}

/** Returns `text` from `start` on with the hidden part of every span replaced by `***`, or by as many asterisks as it was long. */
export function cover(text: string, spans: Span[], { start = 0, keepLength = false } = {}): string {
  let masked = "";
  let at = start;
  for (const { hide, to } of joined(spans)) {
    if (to <= at) continue;
    const from = Math.max(hide, at);
    masked += text.slice(at, from) + (keepLength ? "*".repeat(to - from) : "***");
    at = to;
  }
  return at === 0 ? text : masked + text.slice(at);
}
