import { isObject, type Json, text } from "./json.ts";

// Controls, line separators and bidirectional overrides: what could break a line, or show it in another order than it has.
const unsafe = /[\p{Cc}\u2028\u2029\u202A-\u202E\u2066-\u2069]+/gu;
const plain = /^[\x20-\x7E]*$/;

/** Puts a stranger's text on one line of at most `longest` UTF-16 units: controls become spaces, halves of characters go. */
export function shortLine(stranger: string, longest: number): string {
  // Most names are short and plain ASCII; this runs for every delivery.
  if (stranger.length <= longest && plain.test(stranger)) return stranger.trim();
  const cut = stranger
    .slice(0, longest + 64)
    .replace(unsafe, " ")
    .trim()
    .slice(0, longest);
  return (cut.isWellFormed() ? cut : cut.toWellFormed().replaceAll("\uFFFD", "")).trimEnd();
}

/** Reads the names in a value as a tracker sends them: a text, a number, a list, or objects with a name, key or value. */
export function namesIn(value: Json | undefined): string[] {
  if (Array.isArray(value)) return value.flatMap(namesIn);
  if (!isObject(value)) {
    const scalar = text(value);
    return scalar === "" ? [] : [scalar];
  }
  const found: string[] = [];
  for (const property of ["name", "key", "value"]) {
    const name = Object.hasOwn(value, property) ? text(value[property]) : "";
    if (name !== "" && !found.includes(name)) found.push(name);
  }
  return found;
}
