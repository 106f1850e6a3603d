import { readFileSync } from "node:fs";

/**
 * Says when a process was started, as a text that only that process of this machine's run ever has; null when there is
 * no such process. Pids are used again, births are not.
 */
export async function birthOf(pid: number): Promise<string | null> {
  if (process.platform === "linux") return linuxBirth(pid);
  const ps = Bun.spawn(["ps", "-o", "lstart=", "-p", String(pid)], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
    env: { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" },
  });
  return (await ps.stdout.text()).trim() || null;
}

function linuxBirth(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // proc(5): field 22 is the start in ticks since boot; field 2, a name in brackets, may hold blanks and brackets.
    const ticks = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    return ticks === undefined ? null : `${readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim()} ${ticks}`;
  } catch {
    return null;
  }
}
