export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Looks a dotted path (`fields.customfield_1`, `labels.0`) up through own properties only; undefined where there is none. */
export function at(value: Json | undefined, path: string): Json | undefined {
  let here: Json | undefined = value;
  for (const key of path.split(".")) {
    if (typeof here !== "object" || here === null || !Object.hasOwn(here, key)) return undefined;
    here = (here as JsonObject)[key];
  }
  return here;
}

/** The text of a scalar, or "" for anything else. Numbers and booleans read as JSON writes them. */
export function text(value: Json | undefined): string {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : "";
}

const maxDepth = 32;
const forbidden = ["__proto__", "prototype", "constructor"];

/**
 * Parses JSON that a stranger sent: refuses nesting deeper than 32 before parsing (a deep bomb blocks `JSON.parse`), and
 * keys that could reach a prototype. Throws a plain Error whose message is safe to show.
 */
export function parseStranger(source: string): Json {
  const looks = look(source);
  if (looks === "deep") throw new Error(`nested deeper than ${maxDepth}`);
  let parsed: Json;
  try {
    parsed = JSON.parse(source) as Json;
  } catch {
    throw new Error("not valid JSON");
  }
  // An escape may hide a key from the look.
  if (looks === "suspect" || source.includes("\\u")) refusePrototypeKeys(parsed);
  return parsed;
}

/** Reads the object that a stranger's reply holds; an empty one where it holds anything else. */
export function objectIn(source: string): JsonObject {
  try {
    const value = parseStranger(source);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

/** Looks for what must not be parsed, or parsed and not searched. Jumps from quote to quote, so that a long text costs no more than a short one; this runs for every delivery. */
function look(source: string): "deep" | "suspect" | "harmless" {
  let depth = 0;
  let suspect = false;
  for (let here = 0; here < source.length; here++) {
    const code = source.charCodeAt(here);
    if (code === 34) {
      const first = here + 1;
      do {
        here = source.indexOf('"', here + 1);
        if (here === -1) return "harmless"; // no end of the text: JSON.parse will say so
      } while (isEscaped(source, here));
      const length = here - first;
      suspect ||= (length === 9 || length === 11) && forbidden.includes(source.slice(first, here));
    } else if (code === 123 || code === 91) {
      if (++depth > maxDepth) return "deep";
    } else if (code === 125 || code === 93) depth--;
  }
  return suspect ? "suspect" : "harmless";
}

function isEscaped(source: string, quote: number): boolean {
  let first = quote;
  while (source.charCodeAt(first - 1) === 92) first--;
  return (quote - first) % 2 === 1;
}

function refusePrototypeKeys(value: Json): void {
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    if (forbidden.includes(key)) throw new Error(`key "${key}" is not allowed`);
    refusePrototypeKeys(inner);
  }
}
