import { join } from "node:path";
import { log } from "../log.ts";
import type { House, UnshippedLog } from "./house.ts";
import { keepOnlyLog, leftoverLogs, logName, removeDir } from "./orphans.ts";
import { ShippedLog } from "./ship.ts";

// As long as a store takes the log of an attempt that is over.
const longest = 86_400_000;
const most = 32;

/**
 * The logs of attempts that are over and that the store could not take in time: they are shipped when it can, up to a
 * day, also by the next worker of this folder. The run is not held up by them, and its attempt may be lost.
 */
export class LateLogs {
  readonly #over = new AbortController();
  readonly #kept = new Set<Promise<void>>();

  /** Goes on shipping; the folder goes when the store has everything or wants no more. */
  keep(shipped: UnshippedLog, dir: string): void {
    const crowded = this.#kept.size >= most;
    const done = this.#ship(shipped, dir, crowded ? 0 : longest)
      .catch((cause: unknown) => log.error("log not shipped", { ...shipped.held, cause }))
      .finally(() => this.#kept.delete(done));
    this.#kept.add(done);
  }

  /** Takes over what an earlier worker of this folder left. */
  async adopt(house: House): Promise<void> {
    for (const { held, dir } of await leftoverLogs(house.node.work_dir)) {
      const shipped = await ShippedLog.reopen(house, held, join(dir, logName)).catch(() => null);
      if (shipped) this.keep(shipped, dir);
      else await removeDir(dir);
    }
  }

  /** Waits at most `ms` for what is under way; what is left stays in its folder. */
  async close(ms: number): Promise<void> {
    const timer = setTimeout(() => this.#over.abort(), this.#kept.size > 0 ? ms : 0);
    await Promise.all(this.#kept);
    clearTimeout(timer);
  }

  async #ship(shipped: UnshippedLog, dir: string, ms: number): Promise<void> {
    await keepOnlyLog(dir);
    const missing = await shipped.shipped(ms, this.#over.signal);
    await shipped.close();
    if (missing > 0 && this.#over.signal.aborted) return;
    if (missing > 0) log.warn("log cut short", { ...shipped.held, bytes: missing });
    await removeDir(dir);
  }
}
