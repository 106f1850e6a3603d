import { closeSync, constants, fstatSync, mkdirSync, openSync, readSync, writeSync } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { MeshError } from "../core/error.ts";
import type { LogSlice } from "./store.ts";

/** Bytes that are kept of one attempt's log; what comes after is dropped, and a last line says so. */
export const logLimit = 64 * 1024 * 1024;

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export interface Logs {
  /** Appends what is new of `bytes`, that begin at `offset`; answers the offset wanted next. A gap is refused by a smaller answer. */
  append(run_id: string, attempt: number, offset: number, bytes: Uint8Array): number;
  /** Reads at most `limit` bytes from byte `from`; an attempt without a log reads as empty. */
  read(run_id: string, attempt: number, from: number, limit: number): LogSlice;
  /** Deletes the logs that nobody has written to since `before` (epoch ms), but those of runs that are `wanted`. */
  sweep(before: number, wanted: (run_id: string) => boolean): Promise<void>;
}

/** Opens the logs under `folder`: one file per attempt, `<run>/<attempt>.log`, for the owner's eyes only. */
export function openLogs(folder: string, limit = logLimit): Logs {
  const cut = new TextEncoder().encode(`\n[log cut here: ${limit} bytes are kept of an attempt]\n`);
  return {
    append: (run_id, attempt, offset, bytes) =>
      withFile(pathOf(folder, run_id, attempt), "append", (file) => append(file, offset, bytes, limit, cut)),

    read: (run_id, attempt, from, most) =>
      withFile(pathOf(folder, run_id, attempt), "read", (file) => read(file, from, most)) ?? {
        bytes: new Uint8Array(),
        next: 0,
        size: 0,
      },

    async sweep(before, wanted) {
      const runs = await readdir(folder).catch(() => []);
      for (const run_id of runs.filter((name) => uuid.test(name) && !wanted(name))) {
        const path = join(folder, run_id);
        if ((await lastWritten(path)) <= before && !wanted(run_id)) await rm(path, { recursive: true, force: true });
      }
    },
  };
}

function append(file: number, offset: number, bytes: Uint8Array, limit: number, cut: Uint8Array): number {
  const { size } = fstatSync(file);
  // The last line is written: the rest is dropped, and counted as taken so that the node goes on.
  if (size > limit) return Math.max(offset, 0) + bytes.length;
  if (offset > size) return size;
  const fresh = bytes.subarray(size - offset);
  if (fresh.length === 0) return size;
  const room = limit - size;
  if (fresh.length <= room) return size + writeAll(file, fresh);
  writeAll(file, Buffer.concat([fresh.subarray(0, room), cut]));
  return offset + bytes.length;
}

/** A full disk may take a part: the file's length tells, and the node sends the rest again. */
function writeAll(file: number, bytes: Uint8Array): number {
  let written = 0;
  while (written < bytes.length) written += writeSync(file, bytes, written);
  return written;
}

function read(file: number, from: number, limit: number): LogSlice {
  const { size } = fstatSync(file);
  const start = Math.min(Math.max(0, from), size);
  const bytes = new Uint8Array(Math.min(Math.max(0, limit), size - start));
  const got = bytes.length === 0 ? 0 : readSync(file, bytes, 0, bytes.length, start);
  return { bytes: bytes.subarray(0, got), next: start + got, size };
}

/** A run's id becomes a path: nothing but a UUID may, and an attempt that is a number. */
function pathOf(folder: string, run_id: string, attempt: number): string {
  if (!uuid.test(run_id)) throw new MeshError("data", `not a run's id: ${JSON.stringify(run_id)}`);
  if (!Number.isSafeInteger(attempt) || attempt < 0) throw new MeshError("data", `not an attempt: ${attempt}`);
  return join(folder, run_id, `${attempt}.log`);
}

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;

function withFile<T>(path: string, to: "append", use: (file: number) => T): T;
function withFile<T>(path: string, to: "read", use: (file: number) => T): T | null;
function withFile<T>(path: string, to: "append" | "read", use: (file: number) => T): T | null {
  let file: number | undefined;
  try {
    file = to === "read" ? openSync(path, O_RDONLY | O_NOFOLLOW) : openToAppend(path);
    return use(file);
  } catch (cause) {
    if (to === "read" && codeOf(cause) === "ENOENT") return null;
    throw new MeshError("unavailable", `could not ${to} a run's log: ${codeOf(cause)}`, {
      hint: "look at the free space and the owner of state_dir",
      cause,
    });
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function openToAppend(path: string): number {
  const flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW;
  try {
    return openSync(path, flags, 0o600);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
    mkdirSync(join(path, ".."), { recursive: true, mode: 0o700 });
    return openSync(path, flags, 0o600);
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error ? String(error.code) : String(error);

async function lastWritten(folder: string): Promise<number> {
  const files = await readdir(folder).catch(() => []);
  const times = await Promise.all(
    [folder, ...files.map((file) => join(folder, file))].map(
      async (path) => (await stat(path).catch(() => null))?.mtimeMs ?? 0,
    ),
  );
  return Math.max(...times);
}
