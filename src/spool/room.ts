import { mkdir, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { numberIn, pathOf, syncFolder } from "./segment.ts";

/** Takes what belongs to one process until it ends, kill -9 included, and answers how to give it back; throws where another has it. */
export type TakeLock = (path: string) => Promise<() => void>;

/** What stands beside the rooms. */
export const refusedFolder = "refused";

const mostRooms = 64;

/** A folder of segments that is this process's own. */
export interface Room {
  folder: string;
  leave(): void;
}

/** Takes the first free room under `dir`: `1`, or another one where several gateways share a `state_dir`. */
export async function takeRoom(dir: string, takeLock: TakeLock): Promise<Room> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  for (let number = 1; ; number++) {
    const folder = join(dir, String(number));
    await mkdir(folder, { recursive: true, mode: 0o700 });
    try {
      return { folder, leave: await takeLock(lockIn(folder)) };
    } catch (fault) {
      if (number === mostRooms || !isTaken(fault)) throw fault;
    }
  }
}

/**
 * Moves what gateways that are gone left in other rooms into ours, as segments numbered from `next`; answers the numbers, and
 * why not all. A rename is whole or not at all, so a crash half way leaves each segment in one place.
 */
export async function adopt(
  dir: string,
  { folder }: Room,
  next: number,
  takeLock: TakeLock,
): Promise<{ adopted: number[]; faults: unknown[] }> {
  const adopted: number[] = [];
  const faults: unknown[] = [];
  for (const name of (await readdir(dir)).toSorted()) {
    const other = join(dir, name);
    if (name === refusedFolder || other === folder || (await segmentsIn(other)).length === 0) continue;
    let leave: () => void;
    try {
      leave = await takeLock(lockIn(other));
    } catch (fault) {
      if (!isTaken(fault)) faults.push(fault);
      continue;
    }
    try {
      // Looked at again: its gateway may have emptied it meanwhile.
      for (const number of await segmentsIn(other)) {
        const mine = next + adopted.length;
        await rename(pathOf(other, number), pathOf(folder, mine));
        adopted.push(mine);
      }
    } catch (fault) {
      faults.push(fault); // what was moved before is ours all the same
    } finally {
      leave();
    }
  }
  if (adopted.length > 0) await syncFolder(folder);
  return { adopted, faults };
}

/** The numbers of the segments in a folder, in order; none where it is no folder. */
export async function segmentsIn(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch(() => []);
  return names.flatMap((name) => numberIn(name) ?? []).toSorted((a, b) => a - b);
}

const lockIn = (folder: string): string => join(folder, "owner");

const isTaken = (fault: unknown): boolean => fault instanceof Error && "kind" in fault && fault.kind === "later";
