import { expect, test } from "bun:test";
import { openSqlite } from "../../src/stores/sqlite.ts";
import type { OperatorStore } from "../../src/stores/store.ts";
import { realClock } from "../../src/worker/clock.ts";
import { runHolding } from "../../src/worker/hold.ts";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const wish = {
  lock: "signing",
  node: "mac-07",
  for_ms: 3_600_000,
  wait_ms: 0,
  ttl_ms: 90_000,
  heartbeat_ms: 20_000,
  fence_ms: 60_000,
};

test("a command that nobody could be started to watch over is gone before its lock is given back", async () => {
  const dir = mkdtempSync(join(tmpdir(), "meshmac-hold-"));
  const store = await openSqlite({ path: join(dir, "meshmac.db"), state_dir: dir });
  let group = 0;
  const told: string[] = [];
  const isThere = () => {
    try {
      return process.kill(group, 0);
    } catch {
      return false;
    }
  };
  const house = {
    async lend<T>(use: (store: OperatorStore) => Promise<T>): Promise<T> {
      if (group !== 0) told.push(isThere() ? "it runs" : "it is gone");
      return await use(store);
    },
    clock: realClock,
    hearSignals: () => () => {},
    whoHolds: async () => "nobody",
    watchOver: (of: number) => {
      group = of;
      throw Object.assign(new Error("no more"), { code: "EAGAIN" });
    },
  };
  try {
    await expect(runHolding(house, wish, ["/bin/sleep", "3600"])).rejects.toMatchObject({
      kind: "unavailable",
      message: "the command was ended: nobody could be started to watch over it (EAGAIN)",
    });
    expect(told).toEqual(["it is gone"]);
    expect((await store.lanes()).locks).toEqual([]);
  } finally {
    await store.close();
    rmSync(dir, { recursive: true, force: true });
  }
});
