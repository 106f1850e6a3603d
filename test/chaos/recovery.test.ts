import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configSchema } from "../../src/config/schema.ts";
import { openSqlite } from "../../src/stores/sqlite.ts";
import { askOf, heldOf, leased, queue, rulesOf } from "../stores/conformance/given.ts";
import { Builders, ways } from "./builders.ts";
import { diceOf } from "./dice.ts";

// How a run comes back when its node does not. `CHAOS_RUNS` set also prints how long it took.

test("with the default numbers a dead node's run is another's 90 s after it was last heard of, and not sooner", async () => {
  const { lease } = configSchema().parse({});
  const dir = mkdtempSync(join(tmpdir(), "meshmac-recovery-"));
  let now = 1_800_000_000_000;
  const store = await openSqlite({ path: join(dir, "meshmac.db"), state_dir: dir, now: () => now });
  try {
    const { ttl: ttl_ms, heartbeat: heartbeat_ms, fence: fence_ms } = lease;
    await store.publish(rulesOf({ lease: { ttl_ms, heartbeat_ms, fence_ms } }));
    const { run_id } = await queue(store);
    const first = await leased(store, askOf({ node: "mac-1" }));
    now += heartbeat_ms;
    expect((await store.renew("mac-1", [heldOf(first)])).words).toEqual(["ok"]);
    const heard = now;
    const other = askOf({ node: "mac-2" });
    while ((await store.lease(other)) === null) now += 1000;
    expect(now - heard).toBe(90_000);
    expect(await store.show(run_id)).toMatchObject({ run: { node: "mac-2", attempt: 2, lost: 1 } });
  } finally {
    await store.close();
    rmSync(dir, { recursive: true, force: true });
  }
});

test.skipIf(process.platform !== "linux").each(ways)(
  "over %s, a worker that is killed for good has its run begun on another node",
  async (way) => {
    await using builders = await Builders.open(way, diceOf(1));
    const ms = await builders.recover();
    if (process.env.CHAOS_RUNS)
      process.stdout.write(`${way}: begun elsewhere ${Math.round(ms)} ms after the kill, leases of 3 s\n`);
  },
);
