import { closeSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "../core/error.ts";
import type { Pipe } from "./pipe.ts";

/** How a script ended: its exit status, or the signal that killed it. */
export interface Ended {
  code: number | null;
  signal: string | null;
}

/** A script in a process group of its own that has not begun yet: it waits at a gate until `go`. */
export interface Script {
  pid: number;
  /** The folder of its attempt. */
  dir: string;
  /** What it prints to stdout and stderr, in the order it was printed. */
  output: ReadableStream<Uint8Array>;
  exited: Promise<Ended>;
  go(): void;
  /** Signals the whole group; one that is gone already is left alone. */
  signal(name: "SIGTERM" | "SIGKILL"): void;
  /** Releases what it holds here; nothing more is read. */
  close(): void;
}

/** Where and with what a script runs. */
export interface Place {
  dir: string;
  env: Record<string, string>;
  /** Becomes the script's own: its ends are closed here when it starts and when it closes. */
  pipe: Pipe;
}

// Constant text; the path is an argument. The gate: where the worker dies before it opens, `read` fails and nothing runs.
const gate = 'read -r go && exec "$0" </dev/null';

/**
 * Brings a script to its gate: stdin closed, one pipe for both outputs, exactly this environment, in the empty folder
 * `dir`/work. Throws MeshError `unavailable` when the machine cannot start a process.
 */
export function openScript(path: string, { dir, env, pipe }: Place): Script {
  let child: ReturnType<typeof spawn>;
  try {
    child = spawn(path, join(dir, "work"), env, pipe.write);
  } catch (cause) {
    closeSync(pipe.read);
    throw new MeshError("unavailable", "the script could not be started", { cause });
  } finally {
    closeSync(pipe.write);
  }
  let open = true;
  return {
    pid: child.pid,
    dir,
    output: Bun.file(pipe.read).stream(),
    exited: child.exited.then(() => ({
      code: child.exitCode,
      signal: child.signalCode === null ? null : `${child.signalCode}`,
    })),
    go: () => {
      child.stdin.write("\n");
      void child.stdin.end();
    },
    signal: (name) => signalGroup(child.pid, name),
    close: () => {
      if (open) closeSync(pipe.read);
      open = false;
    },
  };
}

const spawn = (path: string, cwd: string, env: Record<string, string>, write: number) =>
  Bun.spawn(["/bin/sh", "-c", gate, path], { cwd, env, detached: true, stdin: "pipe", stdout: write, stderr: write });

/** Sends a signal to a process group; false when no such group is left. */
export function signalGroup(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pid, name);
    return true;
  } catch {
    return false;
  }
}
