import { fold, type Match } from "./build-when.ts";
import { at } from "./json.ts";
import type { Move } from "./move.ts";
import { namesIn, shortLine } from "./words.ts";

/** What a delivery wants done to its issue: `parts` tell two intents apart, `shown` names one for people. */
export interface Intent {
  parts: string[];
  shown: string;
}

const longestShown = 120;

/**
 * Says what a delivery means to do: the values at the paths of `dedupe_on` where the configuration has it; its transition id; else the new value of the fields that the entry names in `changed`;
 * else the status with the labels and components that the entry names; else the event. Never a cosmetic field, or two
 * deliveries of one move would make two builds.
 */
export function intentOf(move: Move, { entry, changed }: Match, dedupeOn?: string[]): Intent {
  if (dedupeOn) return chosen(move, dedupeOn);
  if (move.transitionId) return intent(["transition", move.transitionId], move.transitionId);
  if (changed.length > 0) {
    const fields = changed.map((field) => [fold(field), ...(move.changed[field] ?? []).map(fold).toSorted()]);
    const shown = changed.map((field) => `${field}=${(move.changed[field] ?? [])[0] ?? ""}`).join(",");
    return intent(["changed", ...fields.toSorted(byFirst).map((parts) => canonical(parts))], shown);
  }
  const labels = common(move.labels, entry.labels);
  const components = common(move.components, entry.components);
  const status = move.status[0] ?? "";
  if (status === "" && labels.length + components.length === 0) return intent(["event", move.event], move.event);
  const named = canonical(["labels", ...labels, "components", ...components]);
  const hash = labels.length + components.length > 0 ? `+${sha256(named).slice(0, 8)}` : "";
  return intent(["status", fold(status), named], `${status}${hash}`);
}

/** An intent of the values at these paths, looked up in the issue, then in the whole body. */
function chosen({ issue, body }: Move, paths: string[]): Intent {
  const values = paths.map((path) =>
    namesIn(at(issue, path) ?? at(body, path))
      .map(fold)
      .toSorted(),
  );
  const shown = paths.map((path, index) => `${path}=${values[index]?.[0] ?? ""}`).join(",");
  return intent(["chosen", ...paths.map((path, index) => canonical([path, ...(values[index] ?? [])]))], shown);
}

/** Joins parts so that no two lists of parts read alike: each with its length before it. */
export const canonical = (parts: string[]): string => parts.map((part) => `${part.length}:${part}`).join("");

/** Hashes a text to 64 hex digits. */
export const sha256 = (text: string): string => Bun.SHA256.hash(text, "hex");

const intent = (parts: string[], shown: string): Intent => ({ parts, shown: shortLine(shown, longestShown) });

const byFirst = (a: string[], b: string[]): number => ((a[0] ?? "") < (b[0] ?? "") ? -1 : 1);

/** What the issue has of what the entry names, in one spelling and one order. */
function common(has: string[], named: string[] = []): string[] {
  if (named.length === 0 || has.length === 0) return [];
  const wanted = new Set(named.map(fold));
  return [...new Set(has.map(fold))].filter((word) => wanted.has(word)).toSorted();
}
