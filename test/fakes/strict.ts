import type { Json, JsonObject } from "../../src/core/json.ts";
import type { Answered, Received } from "./remote.ts";

// What every strict service refuses, stricter than the real ones where those fail in silence.

/** What only a careless template writes. A log that a comment quotes may hold some of it honestly. */
const slips = {
  chat: ["undefined", "[object Object]", "NaN", "{{", "<secret "],
  tracker: ["[object Object]", "<secret "],
};

/** Why a request is one that no careful client sends, or null. */
export function carelessness(request: Received, kind: keyof typeof slips): string | null {
  const { headers, rawHeaders, bytes, text } = request;
  const names = rawHeaders.map(([name]) => name.toLowerCase());
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice) return `header ${twice} came twice`;
  if (!/^meshmac\/\d/.test(headers.get("user-agent") ?? "")) return "no User-Agent meshmac/<version>";
  if (headers.has("transfer-encoding")) return "Transfer-Encoding";
  if (request.method !== "GET") {
    if (!headers.has("content-length")) return "no Content-Length";
    if (!/^application\/json(; ?charset=utf-8)?$/i.test(headers.get("content-type") ?? "")) return "Content-Type";
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      return "not UTF-8";
    }
  }
  const told = [request.path, ...rawHeaders.map(([, value]) => value), text].join("\n");
  const slip = slips[kind].find((word) => told.includes(word));
  return slip ? `holds ${slip}` : null;
}

/** Parses JSON, throws where a key comes twice in one object or a surrogate stands alone. */
export function strictJson(text: string): Json {
  const parsed = JSON.parse(text) as Json;
  refuseDoubleKeys(text);
  refuseLoneSurrogates(parsed);
  return parsed;
}

export function strictObject(text: string): JsonObject {
  const parsed = strictJson(text);
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) throw new Error("not an object");
  return parsed;
}

/** Throws where an object has a key that is not among those allowed. */
export function onlyKeys(value: JsonObject, allowed: string[], where: string): void {
  const stranger = Object.keys(value).find((key) => !allowed.includes(key));
  if (stranger !== undefined) throw new Error(`${where} has the unknown key ${stranger}`);
}

/** Throws where a body holds a null: the real services take some, a careful client sends none. */
export function refuseNulls(value: Json): void {
  if (value === null) throw new Error("a null");
  if (typeof value === "object") Object.values(value).forEach(refuseNulls);
}

export const json = (status: number, body: Json, headers: Record<string, string> = {}): Answered => ({
  status,
  headers: { "Content-Type": "application/json", ...headers },
  body: JSON.stringify(body),
});

export const isWebLink = (value: Json | undefined): boolean =>
  typeof value === "string" && /^https?:\/\//.test(value) && URL.canParse(value);

function refuseDoubleKeys(text: string): void {
  const open: (Set<string> | null)[] = [];
  // Strings, brackets; a string before a colon is a key of the innermost object.
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"(?:\s*:)?|[{}[\]]/g)) {
    if (token === "{") open.push(new Set());
    else if (token === "[") open.push(null);
    else if (token === "}" || token === "]") open.pop();
    else if (token.endsWith(":")) {
      const key = token.replace(/\s*:$/, "");
      const keys = open.at(-1);
      if (keys?.has(key)) throw new Error(`key ${key} comes twice`);
      keys?.add(key);
    }
  }
}

function refuseLoneSurrogates(value: Json): void {
  if (typeof value === "string" && !value.isWellFormed()) throw new Error("a lone surrogate");
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    refuseLoneSurrogates(key);
    refuseLoneSurrogates(inner);
  }
}
