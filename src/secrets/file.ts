import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  realpathSync,
  statSync,
} from "node:fs";
import type { BigIntStats } from "node:fs";
import { dirname, join, parse } from "node:path";
import { MeshError } from "../core/error.ts";

const longest = 64 * 1024;

/** What tells one state of a file from another; a rename, a rewrite and a chmod all change it. Null where there is none. */
export function stampOf(path: string): string | null {
  try {
    const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (!stats) return null;
    const { dev, ino, size, mtimeNs, ctimeNs } = stats;
    return [dev, ino, size, mtimeNs, ctimeNs].join(" ");
  } catch (fault) {
    return codeOf(fault); // a folder on the way that we may not enter; reading the file will say so
  }
}

/**
 * Reads a secret file after checking it and every directory from it up to `top` and above. Throws `permission` with the
 * command to type where somebody else could read or replace it, and `config` where there is none. One that is `shown` to
 * everybody anyway, as a certificate is, may be read by others.
 */
export function readGuarded(path: string, top: string, { shown = false } = {}): Buffer {
  checkReach(dirname(path));
  checkFolders(dirname(path), top);
  // O_NONBLOCK: opening a named pipe must not hang. The checks are made on what was opened, not on what the path says later.
  const file = openGuarded(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(file, { bigint: true });
    checkFile(path, stats, shown);
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

/** Checks a key file that the configuration names by its path, its folder included; throws like `readGuarded`. */
export function checkKeyFile(path: string): void {
  readGuarded(path, dirname(path));
}

function openGuarded(path: string, flags: number): number {
  try {
    return openSync(path, flags);
  } catch (fault) {
    const code = codeOf(fault);
    if (code === "ENOENT" || code === "ENOTDIR") {
      throw new MeshError("config", `no secret file ${path}`, {
        hint: `(umask 077; mkdir -p ${shell(dirname(path))}; cat > ${shell(path)}), then paste the value and press Ctrl-D`,
      });
    }
    if (code === "ELOOP" || code === "EMLINK") throw symbolicLink(path);
    const owner = statSync(path, { throwIfNoEntry: false });
    throw new MeshError("permission", `${path} cannot be read by this user (${code})`, {
      hint:
        owner?.uid === 0 ? `sudo chgrp ${ourGroup()} ${shell(path)} && sudo chmod 0440 ${shell(path)}` : takeOver(path),
    });
  }
}

function checkFile(path: string, stats: BigIntStats, shown: boolean): void {
  const mode = Number(stats.mode) & 0o777;
  const uid = Number(stats.uid);
  if (!stats.isFile()) {
    throw new MeshError("permission", `${path} is not a regular file`, {
      hint: `rm ${shell(path)}, then write the value into a file`,
    });
  }
  if (uid !== us() && uid !== 0) {
    throw new MeshError("permission", `${path} belongs to another user (uid ${uid})`, { hint: takeOver(path) });
  }
  const by = mode & 0o004 && !shown ? "readable by others" : mode & 0o022 ? "writable by group or others" : null;
  if (by)
    throw new MeshError("permission", `${path} is ${by} (${octal(mode)})`, {
      hint: chmod(uid === 0 && us() !== 0 ? "0440" : "0600", path, uid),
    });
  if (Number(stats.size) > longest) {
    throw new MeshError("config", `${path} is larger than ${longest / 1024} KiB`, {
      hint: "a secret file holds the value alone",
    });
  }
}

/** Throws `permission` for the first folder on the way that this user may not enter. */
function checkReach(folder: string): void {
  if (folder !== dirname(folder)) checkReach(dirname(folder));
  try {
    accessSync(folder, constants.X_OK);
  } catch (fault) {
    if (codeOf(fault) !== "EACCES") return; // what it is instead, the checks that follow say better
    throw new MeshError("permission", `the folder ${folder} cannot be entered by this user (EACCES)`, {
      hint: `sudo chown ${us()} ${shell(folder)} && sudo chmod 0700 ${shell(folder)}`,
    });
  }
}

/** Refuses a folder, from `folder` up to `top`, that group or others can write; above, one that anybody can replace entries in. */
function checkFolders(folder: string, top: string): void {
  for (let here = folder; here.length > top.length && here !== dirname(here); here = dirname(here)) {
    const stats = lstatSync(here, { throwIfNoEntry: false });
    if (!stats) return; // the open that follows says so better
    if (stats.isSymbolicLink()) throw symbolicLink(here);
    refuseWritable(here, stats.mode, stats.uid, 0o022);
  }
  const real = realOf(top);
  if (real === null) return;
  const { mode, uid } = statSync(real);
  refuseWritable(top, mode, uid, 0o022);
  for (let here = dirname(real); ; here = dirname(here)) {
    const stats = statSync(here);
    if ((stats.mode & 0o1000) === 0) refuseWritable(here, stats.mode, stats.uid, 0o002);
    if (here === parse(here).root) return;
  }
}

/** The folder itself may be reached over links (macOS: /etc → /private/etc); what counts is where they lead. */
function realOf(folder: string): string | null {
  try {
    return realpathSync(folder);
  } catch {
    return null;
  }
}

function refuseWritable(folder: string, mode: number, uid: number, bits: number): void {
  if ((mode & bits) === 0) return;
  const by = bits === 0o002 ? "anybody" : "group or others";
  const change = bits === 0o002 ? "o-w" : "go-w";
  throw new MeshError("permission", `the folder ${folder} is writable by ${by} (${octal(mode & 0o7777)})`, {
    hint: chmod(change, folder, uid),
  });
}

function symbolicLink(path: string): MeshError {
  return new MeshError("permission", `${path} is a symbolic link`, {
    hint: `put the file itself there: rm ${shell(path)}, then write it anew`,
  });
}

/** The system's code of a fault, such as EACCES. */
export const codeOf = (fault: unknown): string =>
  fault instanceof Error && "code" in fault ? String(fault.code) : "unknown";
const us = (): number => process.geteuid?.() ?? 0;
const ourGroup = (): number => process.getegid?.() ?? 0;
const octal = (mode: number): string => mode.toString(8).padStart(4, "0");
const takeOver = (path: string): string => `sudo chown ${us()} ${shell(path)} && sudo chmod 0600 ${shell(path)}`;
const chmod = (mode: string, path: string, owner: number): string =>
  `${owner === us() ? "" : "sudo "}chmod ${mode} ${shell(path)}`;

const shell = (path: string): string => (/^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`);

/** Where a secret's file lies. */
export const pathOf = (dir: string, name: string): string => join(dir, ...name.split("/"));
