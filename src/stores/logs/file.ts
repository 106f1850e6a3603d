import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  writeSync,
} from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import { MeshError } from "../../core/error.ts";
import type { LogSlice } from "../../core/records.ts";

/** What an attempt's log is called that begins at byte `from`: another gateway may have begun it. */
export const fileName = (attempt: number, from = 0): string =>
  from === 0 ? `${attempt}.log` : `${attempt}.${from}.log`;

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Whether this can be the id of a run: nothing else becomes a path. */
export const isRunId = (name: string): boolean => uuid.test(name);

/** Names the file of an attempt below the folder of all logs; throws `data` for what is no run's id or no attempt. */
export function nameOf(run_id: string, attempt: number, from = 0): string {
  if (!isRunId(run_id)) throw new MeshError("data", `not a run's id: ${JSON.stringify(run_id)}`);
  if (!Number.isSafeInteger(attempt) || attempt < 0) throw new MeshError("data", `not an attempt: ${attempt}`);
  return `${run_id}/${fileName(attempt, from)}`;
}

// A log that was cut is made read-only: that needs no room on the disk, and outlives us.
const ended = 0o400;

function isEnded(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found?.isFile() === true && (found.mode & 0o200) === 0;
}

export interface Cut {
  /** Bytes that are kept. */
  limit: number;
  /** The line at the end of a log that a node did not keep within the limit. */
  overLimit: Uint8Array;
  /** The line at the end of a log for which the disk had no room. */
  full: Uint8Array;
  /** Hears that the disk is full. */
  onFull: (cause: unknown) => void;
}

/** Appends what is new of `bytes` that begin at `offset`; answers the offset wanted next. What comes after a cut is taken and dropped. */
export function appendTo(path: string, offset: number, bytes: Uint8Array, cut: Cut): number {
  if (isEnded(path)) return offset + bytes.length;
  return withFile(path, "append", (file) => {
    const { size } = fstatSync(file);
    if (offset > size) return size;
    const fresh = bytes.subarray(size - offset);
    if (fresh.length === 0) return size;
    const room = Math.max(0, cut.limit - size);
    try {
      if (fresh.length <= room) return size + writeAll(file, fresh);
      writeAll(file, Buffer.concat([fresh.subarray(0, room), cut.overLimit]));
    } catch (cause) {
      if (!isFull(cause)) throw cause;
      cut.onFull(cause);
      makeRoomFor(file, cut.full);
    }
    fchmodSync(file, ended);
    return offset + bytes.length;
  });
}

/** The last blocks of the file are ours already: the line takes the place of as many bytes, where the disk has no other. */
function makeRoomFor(file: number, line: Uint8Array): void {
  const { size } = fstatSync(file);
  try {
    ftruncateSync(file, Math.max(0, size - line.length));
    writeAll(file, line);
  } catch {
    // A file system that copies on write may have no room for that either: the log ends without a word of it.
  }
}

/** Writes `bytes` at byte `at`, where they may be already, and answers when the disk has them. */
export async function putAt(path: string, at: number, bytes: Uint8Array): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(path, O_WRONLY | O_CREAT | O_NOFOLLOW, 0o600);
    try {
      const isNew = (await file.stat()).size === 0;
      for (let from = 0; from < bytes.length;)
        from += (await file.write(bytes, from, bytes.length - from, at + from)).bytesWritten;
      await file.sync();
      // After a power cut a new file is there only when its folder is on the disk, too, and that folder's own.
      if (isNew) for (const folder of [dirname(path), dirname(dirname(path))]) await syncFolder(folder);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw failed("append to", cause);
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, O_RDONLY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Reads at most `limit` bytes from byte `from`; null where there is no such file. */
export function readFrom(path: string, from: number, limit: number): LogSlice | null {
  return withFile(path, "read", (file) => {
    const { size } = fstatSync(file);
    const start = Math.min(Math.max(0, from), size);
    const bytes = new Uint8Array(Math.min(Math.max(0, limit), size - start));
    const got = bytes.length === 0 ? 0 : readSync(file, bytes, 0, bytes.length, start);
    return { bytes: bytes.subarray(0, got), next: start + got, size };
  });
}

/** A full disk may take a part: the file's length tells, and the node sends the rest again. */
function writeAll(file: number, bytes: Uint8Array): number {
  let written = 0;
  while (written < bytes.length) written += writeSync(file, bytes, written);
  return written;
}

export const isFull = (cause: unknown): boolean => /^(ENOSPC|EDQUOT)$/.test(codeOf(cause));

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;
const flags = {
  read: O_RDONLY | O_NOFOLLOW,
  append: O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW,
};

type Use = keyof typeof flags;

function withFile<T>(path: string, to: "append", use: (file: number) => T): T;
function withFile<T>(path: string, to: "read", use: (file: number) => T): T | null;
function withFile<T>(path: string, to: Use, use: (file: number) => T): T | null {
  let file: number | undefined;
  try {
    file = opened(path, to);
    return use(file);
  } catch (cause) {
    if (to === "read" && codeOf(cause) === "ENOENT") return null;
    throw failed(to === "read" ? "read" : "append to", cause);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function opened(path: string, to: Use): number {
  try {
    return openSync(path, flags[to], 0o600);
  } catch (error) {
    if (to === "read" || codeOf(error) !== "ENOENT") throw error;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    return openSync(path, flags[to], 0o600);
  }
}

const failed = (what: string, cause: unknown): MeshError =>
  new MeshError("unavailable", `could not ${what} a run's log: ${codeOf(cause)}`, {
    hint: "look at the free space and the owner of state_dir",
    cause,
  });

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : String(error);
