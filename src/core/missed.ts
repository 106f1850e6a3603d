import { type Decision, decide, digestOf, type DoorRules, type Given, searchedWindow } from "./decide.ts";
import { firstMatch } from "./build-when.ts";
import { intentOf } from "./intent.ts";
import type { Move } from "./move.ts";
import type { Mark } from "./records.ts";
import type { BuildWhen } from "./wanted.ts";

/**
 * Makes of a door's rules those for what a search finds: it knows what an issue has and what changed, not what the tracker
 * called the event. An entry that names nothing else is left out.
 */
export function searchRules(door: DoorRules): DoorRules {
  const build_when = door.build_when.flatMap((entry): BuildWhen[] => {
    const { event: _event, ...rest } = entry;
    return Object.keys(rest).length > 0 ? [rest] : [];
  });
  return { ...door, build_when, cancel_when: [], debounce: undefined, reconciles: false };
}

/**
 * Decides what a move asks for that a search found, `at` being when the issue moved (epoch milliseconds). The move itself is
 * its delivery id, so that every search finds it once; and it leaves marks for the delivery that may still come, whether that
 * names the transition or only the new state.
 */
export function decideMissed(move: Move, at: number, rules: DoorRules, given: Given): Decision {
  const found: Move = { ...move, deliveryId: `reconcile:${move.issueKey}:${at}` };
  const decision = decide(found, rules, given);
  if (!("task" in decision)) return decision;
  const match = firstMatch(rules.build_when, found);
  if ("reason" in match) return decision;
  const digests = [found, { ...found, transitionId: null }].map((as) =>
    digestOf(given.source, as, intentOf(as, match, rules.dedupe_on)),
  );
  const both = [...new Set(digests)].flatMap((digest): Mark[] => [
    { key: `i/${digest}`, window_ms: rules.dedupe_window },
    { key: `r/${digest}`, window_ms: searchedWindow, only: "leave" },
  ]);
  return { ...decision, marks: [...decision.marks.filter(({ key }) => key.startsWith("d/")), ...both] };
}
