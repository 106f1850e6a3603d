import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { isRunId } from "./file.ts";

export interface Keep {
  /** Logs that nobody has written to since then (epoch ms) go. */
  before: number;
  /** So many bytes of logs are kept: beyond it those of the runs that were written to longest ago go. */
  bytes: number;
  /** Whether what is not in the archive stays for its sake, as long as there is room. */
  archived: boolean;
}

/** The logs of one run, as they lie on the disk. */
export interface RunFiles {
  run_id: string;
  /** The files, without what marks them. */
  logs: { name: string; size: number; changed: number; archived: boolean }[];
  /** When anything of it was last written. */
  changed: number;
  bytes: number;
}

/** What stands behind a log's name in the name of the file that says how much of it is in the archive. */
export const archivedMark = ".archived";

/** Looks at the logs of one run; null where there are none. */
export async function filesOf(folder: string, run_id: string): Promise<RunFiles | null> {
  const names = await readdir(join(folder, run_id)).catch(() => null);
  if (names === null) return null;
  const logs: RunFiles["logs"] = [];
  let changed = 0;
  for (const name of names.filter((one) => one.endsWith(".log"))) {
    const found = await stat(join(folder, run_id, name)).catch(() => null);
    if (!found) continue;
    const mark = names.includes(name + archivedMark)
      ? await stat(join(folder, run_id, name + archivedMark)).catch(() => null)
      : null;
    // The mark is as long as the log was, and takes no room: it has no content.
    logs.push({ name, size: found.size, changed: found.mtimeMs, archived: mark?.size === found.size });
    changed = Math.max(changed, found.mtimeMs);
  }
  if (logs.length === 0) changed = (await stat(join(folder, run_id)).catch(() => null))?.mtimeMs ?? 0;
  return { run_id, logs, changed, bytes: logs.reduce((sum, { size }) => sum + size, 0) };
}

/** Lists the runs that have logs here. */
export async function runsIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).filter(isRunId);
}

/** Deletes the logs that are too old, and the oldest while there are too many bytes; never those of a run that is `wanted`. */
export async function sweep(
  folder: string,
  keep: Keep,
  wanted: (run_id: string) => boolean | Promise<boolean>,
): Promise<void> {
  const runs: RunFiles[] = [];
  for (const run_id of await runsIn(folder)) {
    const files = await filesOf(folder, run_id);
    if (files) runs.push(files);
  }
  let bytes = runs.reduce((sum, run) => sum + run.bytes, 0);
  for (const run of runs.toSorted((a, b) => a.changed - b.changed)) {
    const isOld = run.changed <= keep.before && (!keep.archived || run.logs.every(({ archived }) => archived));
    if ((!isOld && bytes <= keep.bytes) || (await wanted(run.run_id))) continue;
    await rm(join(folder, run.run_id), { recursive: true, force: true });
    bytes -= run.bytes;
  }
}
