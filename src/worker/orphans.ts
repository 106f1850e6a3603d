import { existsSync, renameSync, writeFileSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { log } from "../log.ts";
import type { Held } from "../stores/store.ts";
import { birthOf } from "./birth.ts";
import { endKin, kinOf } from "./kin.ts";

const record = z.object({ pid: z.int().min(2), started: z.string().nullable(), run: z.string(), attempt: z.int() });
type Orphan = z.output<typeof record>;

/** The folder's name of an attempt; whatever a run_id holds, it stays one segment below the work folder. */
export const nameOf = ({ run_id, attempt }: Held): string =>
  `${run_id.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 100)}-${attempt}`;

/** What an attempt's log is called in its folder. */
export const logName = "log";

const fileOf = (workDir: string, held: Held): string => join(workDir, "orphans", `${nameOf(held)}.json`);

/**
 * Notes the process group of an attempt, so that a worker that starts after this one was killed can end it. The group
 * still waits at its gate: half a note means that nothing was ever started.
 */
export async function noteOrphan(workDir: string, held: Held, pid: number): Promise<void> {
  const file = fileOf(workDir, held);
  const note = (started: string | null): string => {
    const orphan: Orphan = { pid, started, run: held.run_id, attempt: held.attempt };
    return JSON.stringify(orphan);
  };
  if (process.platform === "linux") return writeFileSync(file, note(await birthOf(pid)), { mode: 0o600 });
  // Where a birth takes a while to learn, the script need not wait for it: until then its environment proves it.
  writeFileSync(file, note(null), { mode: 0o600 });
  void birthOf(pid)
    .then((started) => {
      if (!existsSync(file)) return; // over already
      writeFileSync(`${file}.new`, note(started), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    })
    .catch((cause: unknown) => log.debug("birth not noted", { ...held, cause }));
}

/** Forgets an attempt whose process group is gone. */
export async function forgetOrphan(workDir: string, held: Held): Promise<void> {
  await rm(fileOf(workDir, held), { force: true });
}

/**
 * Ends what an earlier worker left running, in whatever group or session it is by now, and removes its folders. Resolves
 * when it is gone; answers how many attempts had something left.
 */
export async function endOrphans(workDir: string): Promise<number> {
  const dir = join(workDir, "orphans");
  await mkdir(dir, { recursive: true, mode: 0o700 });
  let stopped = 0;
  for (const file of await readdir(dir)) {
    const orphan = await readOrphan(join(dir, file));
    if (orphan && (await end(workDir, orphan))) stopped++;
    await rm(join(dir, file), { force: true });
  }
  await removeLeftovers(workDir);
  return stopped;
}

async function end(workDir: string, orphan: Orphan): Promise<boolean> {
  const { run: run_id, attempt, pid } = orphan;
  const dir = join(workDir, nameOf({ run_id, attempt }));
  const { ended, left } = await endKin({ group: await groupOf(orphan, dir), dir, run_id, attempt });
  if (ended > 0) log.warn("orphaned script stopped", { run_id, attempt, pid, processes: ended });
  if (left > 0) log.error("orphaned processes could not be stopped", { run_id, attempt, pid, processes: left });
  return ended > 0;
}

async function readOrphan(path: string): Promise<Orphan | null> {
  if (!path.endsWith(".json")) return null;
  const parsed = await readFile(path, "utf8")
    .then(JSON.parse)
    .catch(() => null);
  return record.safeParse(parsed).data ?? null;
}

/** The pid alone proves nothing: it may be another process's by now. Its birth does, or the environment of a member. */
async function groupOf({ pid, started, run, attempt }: Orphan, dir: string): Promise<number | null> {
  const birth = await birthOf(pid);
  if (birth !== null && started !== null) return birth === started ? pid : null;
  const told = await kinOf({ group: null, dir, run_id: run, attempt });
  return told.some(({ group }) => group === pid) ? pid : null;
}

/** Removes the folders of attempts that nobody runs; only folders that this worker's kind made. A log in one stays, for it may not be shipped yet. */
async function removeLeftovers(workDir: string): Promise<void> {
  for (const name of await readdir(workDir)) {
    const dir = join(workDir, name);
    if (!/^[\w-]+-\d+$/.test(name) || !(await stat(join(dir, "task.json")).catch(() => null))) continue;
    const { size = 0 } = (await stat(join(dir, logName)).catch(() => null)) ?? {};
    await (size > 0 ? keepOnlyLog(dir) : removeDir(dir));
  }
}

const heldIn = z.object({ run_id: z.string() });

/** Lists the logs that earlier attempts left in the work folder. */
export async function leftoverLogs(workDir: string): Promise<{ held: Held; dir: string }[]> {
  const found: { held: Held; dir: string }[] = [];
  for (const name of await readdir(workDir)) {
    const dir = join(workDir, name);
    const attempt = /^[\w-]+-(\d+)$/.exec(name)?.[1];
    if (attempt === undefined || !existsSync(join(dir, logName))) continue;
    const task = await readFile(join(dir, "task.json"), "utf8")
      .then(JSON.parse)
      .catch(() => null);
    const { data } = heldIn.safeParse(task);
    if (data) found.push({ held: { ...data, attempt: Number(attempt) }, dir });
  }
  return found;
}

/** Removes all that a script left in its folder, but the log and whose it is. */
export async function keepOnlyLog(dir: string): Promise<void> {
  const names = await readdir(dir).catch(() => []);
  for (const name of names) if (name !== logName && name !== "task.json") await removeDir(join(dir, name));
}

/** Removes a folder with all that a script left in it; what cannot be removed is only logged. */
export async function removeDir(dir: string): Promise<void> {
  try {
    await rm(dir, { recursive: true, force: true });
  } catch {
    // A script may leave folders without write permission (Go's module cache does).
    await openUp(dir).catch(() => undefined);
    await rm(dir, { recursive: true, force: true }).catch((cause: unknown) =>
      log.warn("work folder not removed", { dir, cause }),
    );
  }
}

async function openUp(dir: string): Promise<void> {
  await chmod(dir, 0o700);
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    if (entry.isDirectory()) await openUp(join(dir, entry.name));
  }
}
