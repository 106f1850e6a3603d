import { closeSync, fstatSync, ftruncateSync, mkdirSync, openSync, renameSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";

const longest = 10 * 1024 * 1024;
const kept = 5;
const stderrLimit = 1024 * 1024;

/** Where a supervisor puts what the process says beside its log: a crash, or why it would not start. */
export const stderrOf = (file: string): string => `${file}.stderr`;

/**
 * A log that rotates itself: at `limit` bytes `work.log` becomes `work.log.1`, that one `.2` and so on, and the one beyond
 * `keep` goes. Throws what the system says where the file cannot be opened; a disk that is full costs lines, not the process.
 */
export class LogFile {
  readonly #path: string;
  readonly #limit: number;
  readonly #keep: number;
  #fd: number;
  #size: number;

  constructor(path: string, { limit = longest, keep = kept } = {}) {
    this.#path = path;
    this.#limit = limit;
    this.#keep = keep;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    this.#fd = openSync(path, "a", 0o600);
    this.#size = fstatSync(this.#fd).size;
    shorten(stderrOf(path));
  }

  write(lines: string): void {
    const bytes = Buffer.from(lines);
    try {
      if (this.#size > 0 && this.#size + bytes.length > this.#limit) this.#rotate();
      for (let from = 0; from < bytes.length;) from += writeSync(this.#fd, bytes, from);
      this.#size += bytes.length;
    } catch {
      // Nobody is left to tell, and the work goes on.
    }
  }

  #rotate(): void {
    for (let n = this.#keep - 1; n > 0; n--)
      moved(n === 1 ? this.#path : `${this.#path}.${n - 1}`, `${this.#path}.${n}`);
    const fd = openSync(this.#path, "a", 0o600);
    closeSync(this.#fd);
    this.#fd = fd;
    this.#size = fstatSync(fd).size;
  }
}

function moved(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch {
    // Not every number is taken yet.
  }
}

/** launchd appends to this file for ever: a process that begins and finds it long, and finds it to be its stderr, empties it. */
function shorten(path: string): void {
  try {
    const [named, own] = [statSync(path), fstatSync(2)];
    if (own.size > stderrLimit && own.ino === named.ino && own.dev === named.dev) ftruncateSync(2, 0);
  } catch {
    // There is none.
  }
}
