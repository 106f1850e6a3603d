import { readdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { z } from "zod";

/** One process of this machine; zombies, which hold nothing, are none. */
export interface Process {
  pid: number;
  parent: number;
  group: number;
  /** Tells it from a later process that has its pid again. */
  birth: string;
  /** True when it was started with every asked variable in its environment; false also where the system does not say. */
  told: boolean;
  /** True when it works in the asked folder and has no terminal; false also where the system does not say, as on macOS. */
  inside: boolean;
}

/**
 * Lists the processes of this machine, and says which of them were started with all of `variables` (`NAME=value`), and which
 * work in `folder` or below without a terminal: whoever has one there is a person who looks around.
 */
export async function listProcesses(variables: string[], folder: string | null = null): Promise<Process[]> {
  if (process.platform === "linux") return listOfProc(variables, folder && realOf(folder));
  // ps(1) of macOS: -E also writes the environment, behind the command, and -ww cuts neither.
  const ps = Bun.spawn(["ps", "-A", "-E", "-ww", "-o", "pid=,ppid=,pgid=,stat=,lstart=,command="], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
    env: { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" },
  });
  return listOfPs(await ps.stdout.text(), variables);
}

const row = z.tuple([z.coerce.number(), z.coerce.number(), z.coerce.number(), z.string(), z.string(), z.string()]);

/** Reads what `ps -A -E -ww -o pid=,ppid=,pgid=,stat=,lstart=,command=` prints; a line that is no process is left out. */
export function listOfPs(table: string, variables: string[]): Process[] {
  return table.split("\n").flatMap((line) => {
    const cells = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\w+\s+\w+\s+\d+\s+[\d:]+\s+\d+)\s(.*)$/.exec(line);
    const read = row.safeParse(cells?.slice(1)).data;
    if (read === undefined || read[3].startsWith("Z")) return [];
    const [pid, parent, group, , birth, command] = read;
    const words = new Set(command.split(" "));
    const told = variables.every((variable) => words.has(variable));
    return [{ pid, parent, group, birth, told, inside: false }];
  });
}

function listOfProc(variables: string[], folder: string | null): Process[] {
  const found: Process[] = [];
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "latin1");
      // proc(5): field 2, a name in brackets, may hold blanks and brackets; then state, parent, group, session, terminal … and, as field 22, the start.
      const [state, parent, group, , terminal, ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (state === "Z" || state === "X") continue;
      const told = variables.length > 0 && wasTold(name, variables);
      const inside = folder !== null && terminal === "0" && worksIn(name, folder);
      found.push({ pid, parent: Number(parent), group: Number(group), birth: rest[14] ?? "", told, inside });
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

function realOf(folder: string): string | null {
  try {
    return realpathSync(folder);
  } catch {
    return null; // gone, and nobody works there
  }
}

function worksIn(pid: string, folder: string): boolean {
  try {
    return `${readlinkSync(`/proc/${pid}/cwd`)}/`.startsWith(`${folder}/`);
  } catch {
    return false; // another user's
  }
}

function wasTold(pid: string, variables: string[]): boolean {
  try {
    const environment = `\0${readFileSync(`/proc/${pid}/environ`, "latin1")}`;
    return variables.every((variable) => environment.includes(`\0${variable}\0`));
  } catch {
    return false; // another user's
  }
}
