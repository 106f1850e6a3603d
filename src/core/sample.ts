import { firstMatch } from "./build-when.ts";
import { isObject, type JsonObject } from "./json.ts";
import type { Seen } from "./move.ts";
import type { BuildWhen, Taken } from "./wanted.ts";

/** Makes a body for every entry and answers the first that reads as a move which satisfies its entry; else the first. */
export function firstSatisfied(
  entries: readonly BuildWhen[],
  bodyFor: (entry: BuildWhen) => JsonObject,
  read: (body: JsonObject) => Seen,
): JsonObject {
  const made = entries.map((entry) => ({ entry, body: bodyFor(entry) }));
  const good = made.find(({ entry, body }) => {
    const seen = read(body);
    return "move" in seen && "entry" in firstMatch([entry], seen.move);
  });
  return good?.body ?? made[0]?.body ?? {};
}

/** The path at which a sample must have a value, as the configuration has no default for it. */
export const neededPath = (taken: Taken): string | undefined =>
  typeof taken === "string" || taken.default !== undefined ? undefined : taken.from;

const forbidden = new Set(["__proto__", "constructor", "prototype", "toString"]);

/** Puts a text at a dotted path, making the objects on the way; changes nothing where the path runs into a text or a list. */
export function put(target: JsonObject, path: string, value: string): void {
  const keys = path.split(".");
  const last = keys.pop() ?? "";
  if ([...keys, last].some((key) => forbidden.has(key))) return;
  let here: JsonObject = target;
  for (const key of keys) {
    const next = Object.hasOwn(here, key) ? here[key] : undefined;
    if (next !== undefined && !isObject(next)) return;
    here = isObject(next) ? next : (here[key] = {});
  }
  here[last] = value;
}
