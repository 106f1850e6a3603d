import { log } from "../log.ts";

/**
 * Keeps the machine awake while a process lives, with macOS's caffeinate(8); does nothing where there is none. `end` lets
 * go early. A closed lid puts a Mac to sleep all the same.
 */
export function keepAwake(caffeinate: string | null, pid: number): { end(): void } {
  if (caffeinate === null) return { end: () => {} };
  try {
    // No -u: it would let go after 5 s and not look at -w. -i: not when idle, -s: not at all on mains power.
    const child = Bun.spawn([caffeinate, "-i", "-s", "-w", String(pid)], {
      stdio: ["ignore", "ignore", "ignore"],
      env: { PATH: "/usr/bin:/bin" },
    });
    child.unref(); // it ends with the script, also where we were killed
    return { end: () => child.kill("SIGTERM") };
  } catch (cause) {
    log.warn("machine not kept awake", { pid, cause });
    return { end: () => {} };
  }
}
