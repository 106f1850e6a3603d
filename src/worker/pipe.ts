import { closeSync, constants, openSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "../core/error.ts";

/** Both ends of one real pipe, as file descriptors that no child inherits by itself. */
export interface Pipe {
  read: number;
  write: number;
}

/**
 * Pipes for the output of scripts, one made ahead while the worker waits for work. One pipe for both outputs keeps their
 * order, and `> /dev/stdout` works in a script, which it does not on the socket that `stdout: "pipe"` gives (Linux
 * answers ENXIO).
 */
export class PipeShelf {
  readonly #dir: string;
  #ready: Pipe | undefined;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Makes the next pipe ahead of its use, as it costs about a millisecond; where that fails, `take` will say so. */
  stock(): void {
    try {
      this.#ready ??= openPipe(this.#dir);
    } catch {
      this.#ready = undefined;
    }
  }

  /** Hands out a pipe; the taker closes both ends. Throws MeshError `unavailable` when none can be made. */
  take(): Pipe {
    const pipe = this.#ready ?? openPipe(this.#dir);
    this.#ready = undefined;
    return pipe;
  }

  close(): void {
    if (!this.#ready) return;
    closeSync(this.#ready.read);
    closeSync(this.#ready.write);
    this.#ready = undefined;
  }
}

// Nothing in Bun makes a bare pipe; a named one that loses its name at once is the same.
function openPipe(dir: string): Pipe {
  const path = join(dir, `pipe.${crypto.randomUUID()}`);
  const made = Bun.spawnSync(["mkfifo", "-m", "600", path], { env: { PATH: "/usr/bin:/bin:/usr/sbin:/sbin" } });
  if (!made.success) throw new MeshError("unavailable", "no pipe could be made for the script's output");
  try {
    return bothEnds(path);
  } finally {
    unlinkSync(path);
  }
}

/** Opens a named pipe at both ends, or neither. Throws what the machine says. */
export function bothEnds(path: string): Pipe {
  const read = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return { read, write: openSync(path, constants.O_WRONLY) };
  } catch (cause) {
    closeSync(read);
    throw cause;
  }
}
