import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  futimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { MeshError } from "../core/error.ts";
import { isSecretName } from "../core/secret.ts";
import { codeOf, pathOf } from "./file.ts";

/** Hears the name of every file operation just before it is made; a test ends the process there. */
export type Step = (operation: string) => void;
const unheard: Step = () => {};

/** Whose a file is, and who may read it. */
export interface Belonging {
  mode: number;
  uid: number;
  gid: number;
  /** When its content was made, where that is to stay. */
  at?: Date;
}

/** Draws a token: 32 random bytes as 64 hex characters. */
export const createToken = (): string => randomBytes(32).toString("hex");

/** Writes a secret so that readers see the old value or the new one whole: folders 0700, the file 0600, a rename, all on disk. */
export function writeSecret(dir: string, name: string, text: string): void {
  if (!isSecretName(name)) throw new MeshError("usage", `${JSON.stringify(name)} is no name for a secret`);
  const path = pathOf(dir, name);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  replaceFile(path, `${text}\n`);
}

/** Puts a file in the place of another in one step, on disk when it returns, with the mode and owner of `like`, else 0600 and ours. Throws `permission` where that owner cannot be given. */
export function replaceFile(path: string, content: string | Uint8Array, like?: Belonging, step: Step = unheard): void {
  const draft = `${path}.${randomBytes(6).toString("hex")}.draft`;
  try {
    step(`write ${basename(path)}`);
    const file = openSync(
      draft,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o600,
    );
    try {
      // First the mode: a read-only one does not keep us from writing to what we have opened.
      if (like) give(file, path, like);
      // All of it or a fault: a disk that is nearly full takes a part of one write, and says nothing.
      writeFileSync(file, content);
      if (like?.at) futimesSync(file, like.at, like.at);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameFile(draft, path, step);
  } catch (fault) {
    rmSync(draft, { force: true });
    throw fault;
  }
}

/** Renames a file over another in one step, on disk when it returns. */
export function renameFile(from: string, to: string, step: Step = unheard): void {
  step(`rename to ${basename(to)}`);
  renameSync(from, to);
  syncFolder(dirname(to));
}

/** Removes a file, on disk when it returns; nothing where there is none. */
export function removeFile(path: string, step: Step = unheard): void {
  step(`remove ${basename(path)}`);
  rmSync(path, { force: true });
  syncFolder(dirname(path));
}

/** Whose a file is now, and of when. */
export function belongingOf(path: string): Required<Belonging> {
  const { mode, uid, gid, mtime } = statSync(path);
  return { mode: mode & 0o777, uid, gid, at: mtime };
}

/** Removes what writers that were killed have left of their drafts of a file. Only for whoever alone may write it now. */
export function sweepDrafts(path: string): void {
  const folder = dirname(path);
  const begin = `${basename(path)}.`;
  for (const name of readdirSync(folder)) {
    if (name.startsWith(begin) && /\.[0-9a-f]{12}\.draft$/.test(name)) rmSync(join(folder, name), { force: true });
  }
}

function give(file: number, path: string, { mode, uid, gid }: Belonging): void {
  const ours = fstatSync(file);
  try {
    if (ours.uid !== uid || ours.gid !== gid) fchownSync(file, uid, gid);
  } catch (fault) {
    throw new MeshError("permission", `${path} cannot be given to uid ${uid}, gid ${gid} (${codeOf(fault)})`, {
      hint: "run it as the owner of the secret files, or as root",
    });
  }
  fchmodSync(file, mode);
}

function syncFolder(folder: string): void {
  const opened = openSync(folder, constants.O_RDONLY);
  fsyncSync(opened);
  closeSync(opened);
}
