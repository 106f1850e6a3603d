import { fold } from "./build-when.ts";
import { at } from "./json.ts";
import type { Move } from "./move.ts";
import type { LaneTaken } from "./wanted.ts";
import { namesIn } from "./words.ts";

/** Finds the lane of a move: the one named, or that of the first name in the table which the issue has, else the default. */
export function laneFor(lane: LaneTaken, move: Move): string {
  if (typeof lane === "string") return lane;
  const has = new Set(factOf(move, lane.from).map(fold));
  const found = Object.entries(lane.map).find(([name]) => has.has(fold(name)));
  return found?.[1] ?? lane.default;
}

function factOf(move: Move, from: string): string[] {
  const fact = Object.hasOwn(facts, from) ? facts[from] : undefined;
  return fact ? fact(move) : namesIn(at(move.issue, from) ?? at(move.body, from));
}

/** The words of `build_when`; anything else is a dotted path. */
const facts: Record<string, (move: Move) => string[]> = {
  labels: (move) => move.labels,
  components: (move) => move.components,
  issue_type: (move) => move.issueType,
  project: (move) => move.project,
  status: (move) => move.status,
};
