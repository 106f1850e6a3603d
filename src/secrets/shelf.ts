import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { MeshError } from "../core/error.ts";
import { keyIdOf, sha256, textIn } from "./copy.ts";
import { readGuarded } from "./file.ts";
import { type Ledger, ledgerOf, type Operation, readLedger, type Reason, reasons, withRetired } from "./ledger.ts";
import { type Belonging, belongingOf, removeFile, renameFile, replaceFile, type Step, sweepDrafts } from "./write.ts";

// The files of one secret, and the only four things that are done to them. Each writes down first what it is about to do and
// can be repeated from any point at which it may have been killed, so whoever comes next finishes it. At no point is there a
// moment in which neither the value before nor the value after is current or staged.

/** The files of one secret: one, or a certificate and its key, which change together. */
export interface Shelf {
  name: string;
  files: string[];
  /** The folder up to which every directory is checked; their own where they are not under `secrets_dir`. */
  top: string | null;
  /** Those of the files that others may read. */
  shown?: string[];
}

/** One value, by name: what lies in all files of the secret together. */
export interface Item {
  texts: string[];
  digest: string;
  key_id: string;
  /** When its files were written. */
  at: number;
}

/** Everything that lies on a shelf. */
export interface Looked {
  current: Item | null;
  next: Item | null;
  prev: Item | null;
  ledger: Ledger;
}

export const nextOf = (path: string): string => `${path}.next`;
export const prevOf = (path: string): string => `${path}.prev`;

/** Looks at the files; what is half there counts as not there. Throws `permission` (77) where one of them could be read or changed by others. */
export function look(shelf: Shelf): Looked {
  const { files } = shelf;
  return {
    current: itemIn(shelf, files),
    next: itemIn(shelf, files.map(nextOf)),
    prev: itemIn(shelf, files.map(prevOf)),
    ledger: readLedger(first(shelf)),
  };
}

/** When the value that is current was made: as it was staged, or as its file says. */
export const bornAt = ({ current, ledger }: Looked): number | null =>
  current && ledger.staged?.key_id === current.key_id ? ledger.staged.at : (current?.at ?? null);

/** When the value before the last commit stopped being accepted; null where it is not kept. */
export function prevSince({ prev, ledger }: Looked): number | null {
  if (!prev) return null;
  return ledger.retired.find(({ digest }) => digest === prev.digest)?.at ?? prev.at;
}

/** Stages a value beside the current one, with its mode and owner. Throws `later` where one is staged already. */
export function stage(shelf: Shelf, texts: string[], about: { at: number; reason: Reason }, step?: Step): Item {
  const before = finish(shelf, step);
  if (before.next) throw new MeshError("later", `${shelf.name} has a staged value already: ${before.next.key_id}`);
  const staged = itemOf(texts, about.at);
  note(shelf, { ...before.ledger, doing: "start", staged: { key_id: staged.key_id, ...about }, proof: null }, step);
  for (const [index, path] of shelf.files.entries())
    replaceFile(nextOf(path), `${texts[index] ?? ""}\n`, ownerOf(path), step);
  done(shelf, step);
  return staged;
}

/** Writes down a more pressing reason for what is staged, and answers whether it is one; a lesser one changes nothing. */
export function raise(shelf: Shelf, reason: Reason, step?: Step): boolean {
  const { next, ledger } = finish(shelf, step);
  if (!next) return false;
  const known =
    ledger.staged?.key_id === next.key_id
      ? ledger.staged
      : { key_id: next.key_id, at: next.at, reason: "planned" as const };
  if (reasons.indexOf(reason) <= reasons.indexOf(known.reason)) return false;
  note(shelf, { ...ledger, staged: { ...known, reason } }, step);
  return true;
}

/** Makes the staged value the current one and keeps the one before as `.prev`. Nothing where nothing is staged. */
export function commit(shelf: Shelf, at: number, step?: Step): Looked {
  const before = finish(shelf, step);
  if (!before.next) return before;
  begin(shelf, "commit", before, at, step);
  committing(shelf, step);
  return done(shelf, step);
}

/** Goes one step back: what was committed is staged again beside the value before. Nothing where no value before is kept. Throws `later` beside half of a staged value. */
export function undo(shelf: Shelf, at: number, step?: Step): Looked {
  const before = finish(shelf, step);
  if (!before.prev || before.next) return before;
  // Once begun, a staged file counts as one that the undo itself has written: what is current would be lost for it.
  const half = shelf.files.map(nextOf).find((path) => existsSync(path));
  if (half !== undefined) {
    throw new MeshError("later", `half of a staged value of ${shelf.name} lies there: ${half}`, {
      hint: "move it aside, then undo again",
    });
  }
  begin(shelf, "undo", before, at, step);
  undoing(shelf, step);
  return done(shelf, step);
}

/** Takes the staged value away. Nothing where nothing is staged. */
export function abort(shelf: Shelf, at: number, step?: Step): Looked {
  const before = finish(shelf, step);
  if (!before.next) return before;
  begin(shelf, "abort", before, at, step);
  aborting(shelf, step);
  return done(shelf, step);
}

/** Deletes the value before, once `undo_for` is over. */
export function forgetPrev(shelf: Shelf, step?: Step): void {
  for (const path of shelf.files) if (existsSync(prevOf(path))) removeFile(prevOf(path), step);
}

/** Writes down that a test post with this value was taken. */
export const prove = (shelf: Shelf, key_id: string, at: number): void =>
  note(shelf, { ...readLedger(first(shelf)), proof: { key_id, at } });

/** Finishes what somebody who was killed has begun, and clears away his drafts. Only for whoever holds the lock. */
export function finish(shelf: Shelf, step?: Step): Looked {
  for (const path of shelf.files)
    for (const one of [path, nextOf(path), prevOf(path), ledgerOf(path)]) sweepDrafts(one);
  const { doing, staged } = readLedger(first(shelf));
  if (doing === null) return look(shelf);
  if (doing === "commit") committing(shelf, step);
  else if (doing === "undo") undoing(shelf, step);
  else if (doing === "abort") aborting(shelf, step);
  else {
    // A value that came over stdin is gone with the process: half of it is of no use.
    const { next } = look(shelf);
    if (next?.key_id !== staged?.key_id) aborting(shelf, step);
  }
  return done(shelf, step);
}

function begin(shelf: Shelf, doing: Operation, { ledger, current, next }: Looked, at: number, step?: Step): void {
  const gone = doing === "commit" ? current : doing === "abort" ? next : null;
  const how = doing === "commit" ? ("committed" as const) : ("aborted" as const);
  // Written before the value goes: whoever still sends it afterwards is told what it was.
  const retired = gone ? withRetired(ledger, { key_id: gone.key_id, digest: gone.digest, at, how }) : ledger.retired;
  note(shelf, { ...ledger, doing, retired }, step);
}

/** What is under way is over. A value that is live again is not retired. */
function done(shelf: Shelf, step?: Step): Looked {
  const after = look(shelf);
  const live = [after.current?.digest, after.next?.digest];
  const retired = after.ledger.retired.filter(({ digest }) => !live.includes(digest));
  note(shelf, { ...after.ledger, doing: null, retired }, step);
  return look(shelf);
}

function committing(shelf: Shelf, step?: Step): void {
  for (const path of shelf.files) {
    if (!existsSync(nextOf(path))) continue; // this file was swapped before somebody was killed
    if (existsSync(path)) replaceFile(prevOf(path), readRaw(shelf, path), belongingOf(path), step);
    renameFile(nextOf(path), path, step);
  }
}

function undoing(shelf: Shelf, step?: Step): void {
  for (const path of shelf.files) {
    if (!existsSync(prevOf(path))) continue;
    if (!existsSync(nextOf(path))) replaceFile(nextOf(path), readRaw(shelf, path), belongingOf(path), step);
    renameFile(prevOf(path), path, step);
  }
}

function aborting(shelf: Shelf, step?: Step): void {
  for (const path of shelf.files) if (existsSync(nextOf(path))) removeFile(nextOf(path), step);
}

function note(shelf: Shelf, ledger: Ledger, step?: Step): void {
  const path = first(shelf);
  replaceFile(ledgerOf(path), `${JSON.stringify(ledger)}\n`, ownerOf(path), step);
}

function itemIn(shelf: Shelf, paths: string[]): Item | null {
  if (!paths.every((path) => existsSync(path))) return null;
  const at = Math.max(...paths.map((path) => statSync(path).mtimeMs));
  return itemOf(
    paths.map((path) => textIn(readRaw(shelf, path))),
    Math.round(at),
  );
}

function itemOf(texts: string[], at: number): Item {
  const digest = digestOf(texts);
  return { texts, digest: digest.toString("hex"), key_id: keyIdOf(digest), at };
}

/** Hashes what lies in all files of a secret: what opens a door as the vault does, a pair by both of its parts. */
export function digestOf(texts: string[]): Buffer {
  const [one = "", ...more] = texts;
  return more.length === 0 ? sha256(one) : sha256(Buffer.concat(texts.map(sha256)));
}

function readRaw({ top, shown = [] }: Shelf, path: string): Buffer {
  const isShown = shown.some((file) => [file, nextOf(file), prevOf(file)].includes(path));
  return readGuarded(path, top ?? dirname(path), { shown: isShown });
}

function ownerOf(path: string): Belonging {
  const { mode, uid, gid } = belongingOf(path);
  return { mode, uid, gid };
}
const first = ({ files: [path = ""] }: Shelf): string => path;
