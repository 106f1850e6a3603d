import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Next, Spool } from "../../src/spool/spool.ts";
import { takeLock } from "../../src/stores/sqlite/lock.ts";

// Every append waits for the disk, and others may be using it.
if (process.env.NODE_ENV === "test") (await import("bun:test")).setDefaultTimeout(60_000);

/** A folder for spools, with the real lock; it goes with its spools. */
export class Folder {
  readonly dir = join(mkdtempSync(join(tmpdir(), "meshmac-spool-")), "spool");
  readonly #open: Spool[] = [];

  async spool(limit = 64 * 1024 * 1024): Promise<Spool> {
    const spool = new Spool({ dir: this.dir, limit, takeLock: (path) => takeLock(path, "owner") });
    await spool.open();
    this.#open.push(spool);
    return spool;
  }

  segments(room = "1"): string[] {
    const names = readdirSync(join(this.dir, room)).filter((name) => name.endsWith(".line"));
    return names.toSorted().map((name) => join(this.dir, room, name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#open.map((spool) => spool.close()));
    rmSync(join(this.dir, ".."), { recursive: true, force: true });
  }
}

export const everyLine = (spool: Spool, limit = 1_000_000): Next[] => spool.front(limit, () => Infinity);

/** The texts of everything that is still to be forwarded, oldest first. */
export const textsIn = async (spool: Spool): Promise<(string | null)[]> => await spool.read(everyLine(spool));
