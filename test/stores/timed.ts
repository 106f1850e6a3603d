import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openRedis } from "../../src/stores/redis.ts";
import { openSqlite } from "../../src/stores/sqlite.ts";
import type { Store } from "../../src/stores/store.ts";
import { canMoveClocks, movedClock } from "../fakes/moved-clock.ts";
import { startRedis } from "../fakes/redis-server.ts";

/** A store whose time is a test's. */
export interface Timed extends AsyncDisposable {
  store: Store;
  /** Lets whole seconds pass, while a gateway that nodes come through is there or not. */
  pass(ms: number, gate?: boolean): Promise<void>;
  /** Sets the wall clock of the store's host; no time passes. */
  set(by: number): void;
}

/** What a gateway says of itself when it reaps. */
export const gate_ms = 15_000;

const step = 10_000;

async function sqlite(): Promise<Timed> {
  const dir = mkdtempSync(join(tmpdir(), "meshmac-timed-"));
  let [now, monotonic] = [1_800_000_000_000, 0];
  const path = join(dir, "meshmac.db");
  const store = await openSqlite({ path, state_dir: dir, now: () => now, monotonic: () => monotonic });
  return {
    store,
    async pass(ms) {
      [now, monotonic] = [now + ms, monotonic + ms];
    },
    set: (by) => void (now += by),
    async [Symbol.asyncDispose]() {
      await store.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function redis(): Promise<Timed> {
  const clock = movedClock();
  if (!clock) throw new Error("no clock can be moved here");
  const server = await startRedis({ env: clock.env });
  const store = await openRedis({ url: server.url, pool: "acme" });
  return {
    store,
    // A pool is never silent for long: its nodes and gateways ask.
    async pass(ms, gate = true) {
      for (let left = ms; left > 0; left -= step) {
        clock.set(clock.off + Math.min(step, left));
        if (gate) await store.reap(gate_ms);
        else await store.renew("mac-99", []);
      }
    },
    set: (by) => clock.set(clock.off + by),
    async [Symbol.asyncDispose]() {
      await store.close();
      await server.stop();
      clock.close();
    },
  };
}

/** Every store whose time can be moved here. */
export const timed: [name: string, open: () => Promise<Timed>][] = [
  ["sqlite", sqlite],
  ...(canMoveClocks ? [["redis", redis] satisfies [string, () => Promise<Timed>]] : []),
];
