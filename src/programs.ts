import { MeshError } from "./core/error.ts";

/** What a program of the system said, and its exit status. */
export interface Ran {
  status: number;
  out: string;
  err: string;
}

export interface Running {
  /** Where a bare name is looked for: folders with colons between. */
  path: string;
  env: Record<string, string | undefined>;
  /** Milliseconds after which it is killed; null for one that may take as long as it likes. */
  timeout: number | null;
}

/** The status of a program that is not there, as a shell has it. */
export const notFound = 127;

/**
 * Runs one of the system's own programs to its end, without a shell and without input; `LC_ALL=C` makes it speak English.
 * Status 127 where there is none of this name. Throws `unavailable` where it cannot be run, or did not end in time.
 */
export async function runProgram([program = "", ...args]: string[], { path, env, timeout }: Running): Promise<Ran> {
  const found = Bun.which(program, { PATH: path });
  if (found === null) return { status: notFound, out: "", err: `no ${program} on this machine` };
  const child = spawned([found, ...args], { ...env, LC_ALL: "C" }, timeout);
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  const status = await child.exited;
  if (child.signalCode !== null)
    throw new MeshError(
      "unavailable",
      `${program} did not end${timeout === null ? "" : ` within ${timeout / 1000} s`}`,
    );
  return { status, out, err: err.trim() };
}

function spawned(command: string[], env: Running["env"], timeout: number | null) {
  try {
    return Bun.spawn(command, {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env,
      ...(timeout !== null && { timeout, killSignal: "SIGKILL" as const }),
    });
  } catch {
    throw new MeshError("unavailable", `${command[0] ?? ""} cannot be run on this machine`);
  }
}
