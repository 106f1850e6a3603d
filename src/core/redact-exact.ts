import type { FindSpans, Span } from "./spans.ts";

const shortest = 6;

/** Lists what to look for so that none of these values survives, plain or in a usual encoding; longest first. */
export function needlesOf(values: string[]): string[] {
  const needles = new Set<string>();
  for (const value of values.flatMap(partsOf)) {
    for (const form of formsOf(value)) if (form.length >= shortest) needles.add(form);
  }
  return [...needles].toSorted((a, b) => b.length - a.length);
}

/** A value, its lines when it has several (a log is masked line by line), and what is secret inside a URL. */
function partsOf(value: string): string[] {
  const trimmed = value.trim();
  const lines = trimmed.includes("\n") ? trimmed.split(/\r?\n/).filter((line) => /^[^-].{11,}/.test(line)) : [];
  return [trimmed, ...lines, ...urlParts(trimmed)];
}

function urlParts(value: string): string[] {
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? URL.parse(value) : null;
  if (!url) return [];
  const segments = url.pathname
    .split("/")
    .filter((segment) => segment.length >= 16 || /^(?=.*\d)(?=.*[a-z]).{10,}$/i.test(segment));
  const values = [...url.searchParams.values()].filter((query) => query.length >= 8);
  return [...segments, ...segments.map(decoded), ...values, url.password, decoded(url.password)];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function formsOf(value: string): string[] {
  const whole = value.toWellFormed();
  const bytes = new TextEncoder().encode(whole);
  const url = encodeURIComponent(whole);
  const json = JSON.stringify(whole).slice(1, -1);
  const xml = whole.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const base64 = [0, 1, 2].map((shift) => base64Core(bytes, shift));
  const forms = [
    whole,
    url,
    url.replaceAll("%20", "+"),
    url.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
    json,
    json.replaceAll("/", "\\/"),
    xml,
    xml.replaceAll('"', "&quot;").replaceAll("'", "&apos;"),
    xml.replaceAll('"', "&quot;").replaceAll("'", "&#39;"),
    ...base64,
    ...base64.map((text) => text.replaceAll("+", "-").replaceAll("/", "_")),
  ];
  // Each also as its bytes, read as Latin-1: how the log pump sees what is not ASCII.
  return forms.flatMap((form) => [form, binary(new TextEncoder().encode(form))]);
}

function binary(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** The characters of a Base64 text that are the same wherever these bytes begin at offset ≡ `shift` (mod 3) of a longer input. */
function base64Core(bytes: Uint8Array, shift: number): string {
  const padded = new Uint8Array(shift + bytes.length);
  padded.set(bytes, shift);
  const first = Math.ceil((8 * shift) / 6);
  const last = Math.floor((8 * (shift + bytes.length)) / 6);
  return btoa(binary(padded)).slice(first, last);
}

const pair = (a: number, b: number): number => ((a << 8) ^ b) & 0xffff;

/**
 * Makes a finder of many fixed texts that skips ahead by pairs of characters (Wu and Manber, 1994), so that a clean log
 * costs the same with one secret as with a hundred.
 */
export function finderOf(needles: string[]): FindSpans {
  if (needles.length === 0) return () => [];
  const window = Math.min(...needles.map((needle) => needle.length));
  const skip = new Uint8Array(65_536).fill(Math.min(window - 1, 255));
  const ending = new Map<number, string[]>();
  for (const needle of needles) {
    for (let end = 1; end < window; end++) {
      const at = pair(needle.charCodeAt(end - 1), needle.charCodeAt(end));
      skip[at] = Math.min(skip[at] ?? 0, window - 1 - end);
      if (end === window - 1) ending.set(at, [...(ending.get(at) ?? []), needle]);
    }
  }
  return (text) => {
    const spans: Span[] = [];
    for (let end = window - 1; end < text.length;) {
      const at = pair(text.charCodeAt(end - 1), text.charCodeAt(end));
      const step = skip[at] ?? 0;
      if (step === 0) {
        const from = end - window + 1;
        for (const needle of ending.get(at) ?? []) {
          if (text.startsWith(needle, from)) spans.push({ from, hide: from, to: from + needle.length });
        }
      }
      end += Math.max(step, 1);
    }
    return spans;
  };
}
