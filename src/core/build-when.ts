import { at } from "./json.ts";
import type { Move } from "./move.ts";
import type { BuildWhen } from "./wanted.ts";
import { nearest } from "./nearest.ts";
import { namesIn, shortLine } from "./words.ts";

/** An entry that a move satisfies, and the fields (as the body names them) that satisfied its `changed`. */
export interface Match {
  entry: BuildWhen;
  changed: string[];
}

/** Why a move satisfies no entry: one short sentence with the nearest value seen. */
export interface Miss {
  reason: string;
}

/** Brings two spellings of one name together: trimmed, composed (NFC), without regard to case. */
export const fold = (word: string): string => word.normalize("NFC").trim().toLowerCase();

/** Finds the first entry that a move satisfies and of which it touched a field, or says what came nearest. */
export function firstMatch(entries: readonly BuildWhen[], move: Move): Match | Miss {
  let nearest: Compared | undefined;
  let cosmetic = false;
  for (const entry of entries) {
    const rule = ruleOf(entry);
    const compared = compare(rule, move);
    if (compared.failed.length === 0) {
      if (touches(rule, move)) return { entry, changed: compared.changed };
      cosmetic = true;
    } else if (!nearest || compared.failed.length < nearest.failed.length) nearest = compared;
  }
  if (cosmetic)
    return { reason: `only ${quoted(move.touched ?? [])} changed, which no matching build_when entry names` };
  return { reason: nearest?.failed[0]?.() ?? "no build_when entry matched" };
}

/** What one entry says of a move: whether it holds, and a sentence for every key of it that does not. */
export interface Verdict {
  entry: BuildWhen;
  holds: boolean;
  misses: string[];
}

/** Judges every entry by itself, for whoever wants to know more than the nearest miss. */
export function judgeEntries(entries: readonly BuildWhen[], move: Move): Verdict[] {
  return entries.map((entry) => {
    const match = firstMatch([entry], move);
    if ("entry" in match) return { entry, holds: true, misses: [] };
    const failed = compare(ruleOf(entry), move).failed.map((say) => say().replace(missPrefix, ""));
    return { entry, holds: false, misses: failed.length > 0 ? failed : [match.reason] };
  });
}

/**
 * Says whether a move tells that its issue is not to be built any more: for every entry it changed a value of the issue to one
 * that the entry does not want, or names such a value where the body does not say what changed. A comment says nothing of it, nor
 * does an edit of the summary that was sent before the issue moved and came after.
 */
export const leaves = (entries: readonly BuildWhen[], move: Move): boolean =>
  entries.every((entry) => contradicts(ruleOf(entry), move));

function contradicts({ facts, changed, where }: Rule, move: Move): boolean {
  // A field with a new value has changed, also where that change is none to build for: a label that was taken away.
  const told = move.touched && [...move.touched, ...Object.keys(move.changed)].map(fold);
  const isOther = (wanted: Words, seen: string[], fields: string[]) =>
    !holds(wanted, seen) && (told ? told.some((field) => fields.includes(field)) : seen.length > 0);
  return (
    facts.some(([key, wanted, seen, fields]) => isOther(wanted, seen(move), [key, ...fields])) ||
    changed.some(([, name, wanted]) =>
      Object.entries(move.changed).some(([field, values]) => fold(field) === name && !holds(wanted, values)),
    ) ||
    where.some(([path, wanted]) => isOther(wanted, seenAt(move, path), [fold(fieldOf(path) ?? path)]))
  );
}

export const missPrefix = "no build_when entry matched: ";

/** One entry, with its names folded once. */
interface Rule {
  event: Words | undefined;
  facts: [key: string, words: Words, seen: (move: Move) => string[], fields: string[]][];
  changed: [field: string, folded: string, words: Words][];
  where: [path: string, words: Words][];
  /** Fields that a change of the issue must touch for this entry; empty where it names none. */
  fields: Set<string>;
}

interface Words {
  folded: Set<string>;
  shown: string[];
}

interface Compared {
  changed: string[];
  /** A sentence for every key of the entry that does not hold; made only when somebody reads it. */
  failed: (() => string)[];
}

// Configurations live as long as the process, moves come by the thousand: fold an entry once.
const rules = new WeakMap<BuildWhen, Rule>();

function ruleOf(entry: BuildWhen): Rule {
  const known = rules.get(entry);
  if (known) return known;
  const made = makeRule(entry);
  rules.set(entry, made);
  return made;
}

function makeRule(entry: BuildWhen): Rule {
  const rule: Rule = { event: entry.event && words(entry.event), facts: [], changed: [], where: [], fields: new Set() };
  const fact = (key: string, named: string[] | undefined, seen: (move: Move) => string[], ...fields: string[]) => {
    if (!named) return;
    rule.facts.push([key, words(named), seen, fields]);
    for (const field of fields) rule.fields.add(field);
  };
  fact("project", entry.project, (move) => move.project);
  fact("status", entry.status, (move) => move.status, "status");
  fact("labels", entry.labels, (move) => move.labels, "labels");
  fact("components", entry.components, (move) => move.components, "component", "components");
  fact("issue_type", entry.issue_type, (move) => move.issueType, "issuetype");
  for (const [field, named] of Object.entries(entry.changed ?? {})) {
    rule.changed.push([field, fold(field), words(named)]);
    rule.fields.add(fold(field));
  }
  for (const [path, named] of Object.entries(entry.where ?? {})) {
    rule.where.push([path, words(named)]);
    const field = fieldOf(path);
    if (field) rule.fields.add(fold(field));
  }
  return rule;
}

const words = (shown: string[]): Words => ({ folded: new Set(shown.map(fold)), shown });

/** The issue's field that a path looks into; other paths (`project.key`, `user.name`) name nothing that an edit touches. */
const fieldOf = (path: string): string | undefined =>
  /^(?:issue\.)?fields\.([^.]+)/.exec(path)?.[1] ?? /^(?:issue\.)?(summary|description)$/.exec(path)?.[1];

function compare(rule: Rule, move: Move): Compared {
  const compared: Compared = { changed: [], failed: [] };
  const { failed } = compared;
  if (rule.event) {
    if (!holds(rule.event, [move.event])) failed.push(() => sentence("event", [move.event], rule.event));
  } else if (move.about === "other") {
    failed.push(
      () => `${quoted([move.event])} is no change of the issue itself, and no build_when entry names that event`,
    );
  }
  for (const [key, wanted, seen] of rule.facts) {
    if (!holds(wanted, seen(move))) failed.push(() => sentence(key, seen(move), wanted));
  }
  if (rule.changed.length > 0) {
    compared.changed = changedFields(rule, move);
    if (compared.changed.length === 0) failed.push(() => unchanged(rule, move));
  }
  for (const [path, wanted] of rule.where) {
    const seen = seenAt(move, path);
    if (!holds(wanted, seen)) failed.push(() => sentence(path, seen, wanted));
  }
  return compared;
}

function holds({ folded }: Words, seen: readonly string[]): boolean {
  for (const word of seen) if (folded.has(fold(word))) return true;
  return false;
}

function changedFields(rule: Rule, move: Move): string[] {
  return Object.keys(move.changed).filter((field) => {
    const folded = fold(field);
    return rule.changed.some(([, name, wanted]) => name === folded && holds(wanted, move.changed[field] ?? []));
  });
}

const seenAt = (move: Move, path: string): string[] => namesIn(at(move.issue, path) ?? at(move.body, path));

function touches({ fields }: Rule, { about, touched }: Move): boolean {
  if (about === "other" || touched === null || fields.size === 0) return true;
  return touched.some((field) => fields.has(fold(field)));
}

function unchanged(rule: Rule, move: Move): string {
  for (const [field, folded, wanted] of rule.changed) {
    const name = Object.keys(move.changed).find((seen) => fold(seen) === folded);
    if (name !== undefined) return sentence(field, move.changed[name] ?? [], wanted);
  }
  const [first] = rule.changed;
  return `${missPrefix}${first?.[0] ?? "nothing"} did not change, wanted ${quoted(first?.[2].shown ?? [], " or ")}`;
}

function sentence(key: string, seen: string[], wanted: Words | undefined): string {
  // A status or project is known by several names; a list of labels is several things, of which the likeliest slip goes first.
  const several = !["event", "project", "status", "issue_type"].includes(key);
  const shown = several ? nearestFirst(seen, wanted?.shown ?? []) : seen.slice(0, 1);
  const is = shown.length > 0 && shown[0] !== "" ? `is ${quoted(shown)}` : "is not set";
  return `${missPrefix}${key} ${is}, wanted ${quoted(wanted?.shown ?? [], " or ")}`;
}

function nearestFirst(seen: string[], wanted: string[]): string[] {
  const close = wanted.map((word) => nearest(word, seen)).find((word) => word !== undefined);
  return close === undefined ? seen : [close, ...seen.filter((word) => word !== close)];
}

const mostShown = 4;

function quoted(names: readonly string[], joint = ", "): string {
  const shown = names.slice(0, mostShown).map((name) => JSON.stringify(shortLine(name, 60)));
  return (names.length > mostShown ? [...shown, "…"] : shown).join(joint) || "nothing";
}
