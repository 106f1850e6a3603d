import { log } from "../log.ts";
import type { Held } from "../stores/store.ts";
import type { Clock } from "./clock.ts";
import { listProcesses, type Process } from "./processes.ts";
import { signalGroup } from "./script.ts";

/** What the processes of one attempt are known by. */
export interface Family extends Held {
  /** The script's process group; null where it may be somebody else's by now. */
  group: number | null;
  /** The attempt's own folder. */
  dir: string;
}

// A process that was killed may still be seen for a moment, and one that was just being made is seen a moment later.
const look = 20;
const longestEnd = 5000;
// To list processes takes some 50 ms; a machine that takes longer is in trouble.
const longestLook = 1000;

/**
 * Lists whoever belongs to an attempt: its process group, every process that was started with its run and attempt in the
 * environment, whatever group or session it moved to, who works in its folder, those of `known` that still live, and the
 * descendants of all of them.
 */
export async function kinOf({ group, dir, run_id, attempt }: Family, known: Process[] = []): Promise<Process[]> {
  const all = await listProcesses([`MESHMAC_RUN_ID=${run_id}`, `MESHMAC_ATTEMPT=${attempt}`], dir);
  const births = new Map(known.map(({ pid, birth }) => [pid, birth]));
  const kin = new Set<number>();
  for (const one of all) {
    if (one.told || one.inside || one.group === group || births.get(one.pid) === one.birth) kin.add(one.pid);
  }
  for (let size = 0; size !== kin.size;) {
    size = kin.size;
    for (const { pid, parent } of all) if (kin.has(parent)) kin.add(pid);
  }
  kin.delete(process.pid);
  return all.filter(({ pid }) => kin.has(pid));
}

/** The same, but nobody where the system takes too long to say: the script must end all the same. */
export async function kinSoon(clock: Clock, family: Family): Promise<Process[]> {
  const limit = new AbortController();
  const listed = kinOf(family).catch(() => []);
  const kin = await Promise.race([listed, clock.sleep(longestLook, limit.signal).then(() => [])]);
  limit.abort();
  return kin;
}

/** Asks a group and its kin to end. */
export function endGently(group: number, kin: Process[]): void {
  signalGroup(group, "SIGTERM");
  for (const { pid, group: own } of kin) if (own !== group) signal(pid, "SIGTERM");
}

/**
 * Kills whoever of an attempt is left, `known` included, and looks again until nobody is; gives up on what cannot be
 * killed after 5 s. Answers how many were ended, and how many are left.
 */
export async function endKin(family: Family, known: Process[] = []): Promise<{ ended: number; left: number }> {
  const seen = new Set<number>();
  let kin = known;
  for (const end = performance.now() + longestEnd; ;) {
    kin = await kinOf(family, kin);
    for (const { pid } of kin) seen.add(pid);
    if (kin.length === 0 || performance.now() > end) return { ended: seen.size - kin.length, left: kin.length };
    // The group too, for whoever joined it since; while it has a member it is nobody else's.
    if (family.group !== null && kin.some(({ group }) => group === family.group)) signalGroup(family.group, "SIGKILL");
    for (const { pid } of kin) signal(pid, "SIGKILL");
    await Bun.sleep(look);
  }
}

/** Kills what a script that has ended left running, wherever it went; `known` is who belonged to it before. */
export async function endStragglers(family: Family, known: Process[]): Promise<void> {
  const { group: _, dir: __, ...held } = family;
  try {
    const { ended, left } = await endKin(family, known);
    if (ended > 0) log.info("what the script left running was stopped", { ...held, processes: ended });
    if (left > 0) log.error("what the script left running could not be stopped", { ...held, processes: left });
  } catch (cause) {
    log.error("what the script left running was not found", { ...held, cause });
  }
}

function signal(pid: number, name: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself, or is another user's.
  }
}
