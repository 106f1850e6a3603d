import { homedir } from "node:os";
import { systemUser } from "../user.ts";

/** The machine as a service is installed on it; a test passes its own. */
export interface Machine {
  platform: NodeJS.Platform;
  uid: number;
  /** Who runs this; under sudo whoever called it. */
  user: string;
  home: string;
  env: Record<string, string | undefined>;
  /** Put before every absolute path that is written: "" on a real machine. */
  root: string;
  /** Where launchctl, systemctl, id and chown are looked for. */
  path: string;
}

/** The machine that this runs on. */
export function thisMachine(): Machine {
  const { env, platform } = process;
  const path = "/usr/bin:/bin:/usr/sbin:/sbin";
  return {
    platform,
    uid: process.getuid?.() ?? 0,
    user: env.SUDO_USER || systemUser(),
    home: env.HOME || homedir(),
    env,
    root: "",
    path,
  };
}

export interface Told {
  status: number;
  out: string;
  err: string;
}

/** Runs one of the system's own programs to its end; status 127 where there is no such program. */
export async function tell({ path }: Machine, [program = "", ...args]: string[]): Promise<Told> {
  const found = Bun.which(program, { PATH: path });
  if (found === null) return { status: 127, out: "", err: `no ${program} on this machine` };
  const child = Bun.spawn([found, ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: path, LC_ALL: "C", SYSTEMD_COLORS: "0", SYSTEMD_PAGER: "" },
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { status: await child.exited, out, err: err.trim() };
}
