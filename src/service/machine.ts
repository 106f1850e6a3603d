import { homedir } from "node:os";
import { type Ran, runProgram } from "../programs.ts";
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

/** Runs one of the system's own programs to its end, however long: stopping a service waits for its script. Status 127 where there is no such program. */
export const tell = ({ path }: Machine, command: string[]): Promise<Ran> =>
  runProgram(command, { path, env: { PATH: path, SYSTEMD_COLORS: "0", SYSTEMD_PAGER: "" }, timeout: null });
