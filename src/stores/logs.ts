import { linkSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Archive } from "../core/archive.ts";
import { MeshError } from "../core/error.ts";
import type { LogSlice } from "../core/records.ts";
import { log } from "../log.ts";
import { appendTo, isFull, nameOf, putAt, readFrom } from "./logs/file.ts";
import { archivedMark, filesOf, type Keep, type RunFiles, runsIn, sweep } from "./logs/sweep.ts";

export { isFull } from "./logs/file.ts";
export type { RunFiles } from "./logs/sweep.ts";

/** One file of logs: an attempt's, from byte `from` of it on. */
export interface LogPart {
  run_id: string;
  attempt: number;
  from: number;
}

/** The logs of runs under one folder: one file per attempt, `<run>/<attempt>.log`, for the owner's eyes only. */
export interface Logs {
  /** Appends what is new of `bytes`, that begin at `offset`; answers the offset wanted next. A gap is refused by a smaller answer. */
  append(run_id: string, attempt: number, offset: number, bytes: Uint8Array, limit: number): number;
  /** Writes `bytes` at byte `at` of the attempt's log and answers when they are on the disk; the same again changes nothing. */
  put(part: LogPart, at: number, bytes: Uint8Array): Promise<void>;
  /** Reads at most `limit` bytes from byte `at` of the attempt's log, here or in the archive; null where neither has it. */
  read(part: LogPart, at: number, limit: number): Promise<LogSlice | null>;
  /** Deletes what is too old or too much, but the logs of runs that are `wanted`. */
  sweep(keep: Omit<Keep, "archived">, wanted: (run_id: string) => boolean | Promise<boolean>): Promise<void>;
  /** The runs that have logs here, and the logs of one. */
  runs(): Promise<string[]>;
  filesOf(run_id: string): Promise<RunFiles | null>;
  /** Notes that the archive has the first `size` bytes of a file. */
  mark(run_id: string, name: string, size: number): void;
  /** Names this folder among those of all gateways; made when it is first asked for, and kept in it. */
  place(): string;
  notes(): string[];
}

const askArchiveAgainAfter = 30_000;

/** Opens the logs under `folder`; what is not there (any more) is read from the archive. */
export function openLogs(folder: string, archive?: Archive): Logs {
  const notThere = new Map<string, number>();
  let fullAt = Number.NEGATIVE_INFINITY;
  const full = new TextEncoder().encode("\n[the rest is left out here: the disk of the gateway was full]\n");
  const onFull = (cause: unknown): void => {
    if (performance.now() - fullAt > stillFull) log.error("logs cut short", { why: "the disk is full", cause });
    fullAt = performance.now();
  };
  const pathOf = (run_id: string, attempt: number, from = 0) => join(folder, nameOf(run_id, attempt, from));

  async function archived({ run_id, attempt, from }: LogPart, at: number, limit: number): Promise<LogSlice | null> {
    const name = nameOf(run_id, attempt, from);
    if (!archive || performance.now() < (notThere.get(name) ?? 0)) return null;
    const found = await archive.read(name, at - from, limit);
    if (notThere.size > 1000) notThere.clear();
    if (!found) notThere.set(name, performance.now() + askArchiveAgainAfter);
    return found && { bytes: found.bytes, next: at + found.bytes.length, size: from + found.size };
  }

  return {
    append: (run_id, attempt, offset, bytes, limit) =>
      appendTo(pathOf(run_id, attempt), offset, bytes, { limit, overLimit: overLimit(limit), full, onFull }),

    async put({ run_id, attempt, from }, at, bytes) {
      try {
        await putAt(pathOf(run_id, attempt, from), at - from, bytes);
      } catch (error) {
        if (error instanceof MeshError && isFull(error.cause)) onFull(error.cause);
        throw error;
      }
    },

    async read(part, at, limit) {
      const found = readFrom(pathOf(part.run_id, part.attempt, part.from), at - part.from, limit);
      if (!found) return await archived(part, at, limit);
      return { bytes: found.bytes, next: part.from + found.next, size: part.from + found.size };
    },

    sweep: (keep, wanted) => sweep(folder, { ...keep, archived: archive !== undefined }, wanted),
    runs: () => runsIn(folder),
    filesOf: (run_id) => filesOf(folder, run_id),

    mark(run_id, name, size) {
      const path = join(folder, run_id, name + archivedMark);
      writeFileSync(path, "", { mode: 0o600 });
      truncateSync(path, size);
    },

    place: () => placeOf(folder),
    notes: () => (performance.now() - fullAt < stillFull ? ["logs are cut short: the disk of state_dir is full"] : []),
  };
}

const stillFull = 600_000;

const overLimit = (limit: number): Uint8Array =>
  new TextEncoder().encode(`\n[the rest is left out here: ${limit} bytes are kept of an attempt]\n`);

const uuid = /^[0-9a-f-]{36}$/;

function placeOf(folder: string): string {
  const path = join(folder, "place");
  try {
    const said = readFileSync(path, "utf8").trim();
    if (uuid.test(said)) return said;
  } catch {
    // Nobody has asked yet.
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const made = `${path}.${crypto.randomUUID()}`;
  writeFileSync(made, `${crypto.randomUUID()}\n`, { mode: 0o600 });
  try {
    linkSync(made, path); // whole, and the first one wins
  } catch {
    // Another process was faster.
  }
  rmSync(made, { force: true });
  return readFileSync(path, "utf8").trim();
}
