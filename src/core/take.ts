import { at, isObject, type Json, text } from "./json.ts";
import type { Move } from "./move.ts";
import type { Taken } from "./wanted.ts";

/**
 * Takes a value as the configuration says: a plain text as it is, a path from the issue, else from the whole body. Null where
 * something is there that is no text; the default stands in for an absent or empty value only.
 */
export function take(taken: Taken, { issue, body }: Pick<Move, "issue" | "body">): string | null {
  if (typeof taken === "string") return taken;
  const inIssue = shown(at(issue, taken.from));
  const found = inIssue === "" ? shown(at(body, taken.from)) : inIssue;
  return found === "" ? (taken.default ?? "") : found;
}

/** The text of a scalar, of an object's name or value, or of a list of them; "" for what is empty, null for anything else. */
function shown(value: Json | undefined): string | null {
  if (value === undefined || value === null) return "";
  if (Array.isArray(value)) {
    const parts = value.map(shown);
    return parts.includes(null) ? null : parts.filter(Boolean).join(",");
  }
  if (!isObject(value)) return text(value);
  for (const property of ["name", "value"]) {
    const inner = Object.hasOwn(value, property) ? value[property] : undefined;
    if (inner !== undefined && inner !== null && typeof inner !== "object") return text(inner);
  }
  return null;
}
