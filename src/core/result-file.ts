import { isObject, type JsonObject, parseStranger, text } from "./json.ts";
import { plainLine } from "./plain.ts";

/** What a script may say of its run; null where it said nothing usable. */
export interface ResultFile {
  commit: string | null;
  failing_target: string | null;
  summary: string | null;
  run_url: string | null;
}

/** Bytes of a result file that are read; a longer one is no result file. */
export const longestResultFile = 65_536;

/** Reads `key=value` lines or a JSON object; what is not a known key, or not a fit value for it, is left out. */
export function readResultFile(source: string): ResultFile {
  const said = source.trimStart().startsWith("{") ? fromJson(source) : fromLines(source);
  return {
    commit: commitOf(text(said.commit)),
    failing_target: shortOf(text(said.failing_target), 200),
    summary: shortOf(text(said.summary), 1000),
    run_url: urlOf(text(said.run_url)),
  };
}

function fromJson(source: string): JsonObject {
  try {
    const parsed = parseStranger(source);
    return isObject(parsed) ? parsed : {};
  } catch {
    return {};
  }
}

function fromLines(source: string): JsonObject {
  const said: JsonObject = {};
  for (const line of source.split(/\r?\n/)) {
    const found = /^\s*(commit|failing_target|summary|run_url)\s*=(.*)$/.exec(line);
    if (found?.[1]) said[found[1]] = unquoted((found[2] ?? "").trim());
  }
  return said;
}

const unquoted = (value: string): string => /^"(.*)"$|^'(.*)'$/.exec(value)?.slice(1).find(Boolean) ?? value;

function commitOf(value: string): string | null {
  const commit = value.trim().toLowerCase();
  return /^[0-9a-f]{7,64}$/.test(commit) ? commit : null;
}

function shortOf(value: string, limit: number): string | null {
  const short = plainLine(value, limit).trim();
  return short === "" ? null : short;
}

function urlOf(value: string): string | null {
  const url = value.length <= 2048 ? URL.parse(value.trim()) : null;
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") return null;
  return url.href;
}
