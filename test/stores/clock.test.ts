import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, setDefaultTimeout, test } from "bun:test";
import { openSqlite } from "../../src/stores/sqlite.ts";
import { canMoveClocks } from "../fakes/moved-clock.ts";
import { askOf, heldOf, leased, queue, rulesOf, seenAt, taskOf } from "./conformance/given.ts";
import { gate_ms, timed } from "./timed.ts";

// Leases while the clock of the store's host is set, and while no gateway is there. Redis has its host's time, which only a
// preloaded library moves: without a C compiler on Linux its cases are skipped.

setDefaultTimeout(30_000);

const hour = 3_600_000;
const ours = askOf({ node: "mac-1" });
const other = askOf({ node: "mac-2" });

for (const [name, open] of timed) {
  test.each([
    ["an hour forth", hour],
    ["an hour back", -hour],
    ["ten minutes forth", 600_000],
    ["a year back", -365 * 24 * hour],
  ])(`${name}: a clock that is set %s ends no lease, and lets none outlive its node`, async (_what, by) => {
    await using time = await open();
    const { store } = time;
    await store.publish(rulesOf());
    await queue(store);
    const held = heldOf(await leased(store, ours));
    await time.pass(30_000);
    time.set(by);
    expect(await store.lease(other)).toBeNull();
    await time.pass(50_000);
    expect(await store.lease(other)).toBeNull();
    await time.pass(11_000);
    expect(await leased(store, other)).toMatchObject({ attempt: 2 });
    expect(await store.renew("mac-1", [held])).toMatchObject({ words: ["stale"] });
  });

  test.each([
    ["forth", hour],
    ["back", -hour],
  ])(
    `${name}: a lock held from outside stays held when the clock is set an hour %s, and for no longer`,
    async (_w, by) => {
      await using time = await open();
      const { store } = time;
      const hold = (token: string) => store.hold({ lock: "signing", node: "mac-1", token, ttl_ms: 60_000 });
      await store.publish(rulesOf());
      expect(await hold("one")).toBe(true);
      await store.reap();
      time.set(by);
      await store.reap();
      expect(await hold("two")).toBe(false);
      await time.pass(60_000);
      expect(await hold("two")).toBe(true);
    },
  );
}

for (const [name, open] of timed) {
  test.each([
    ["forth", hour],
    ["back", -hour],
  ])(`${name}: who asks first for a held lock after the clock was set an hour %s does not get it`, async (_way, by) => {
    await using time = await open();
    const { store } = time;
    const hold = (token: string) => store.hold({ lock: "signing", node: "mac-1", token, ttl_ms: 60_000 });
    await store.publish(rulesOf());
    expect(await hold("one")).toBe(true);
    time.set(by);
    expect(await hold("two")).toBe(false);
    expect(await hold("one")).toBe(true);
  });

  test(`${name}: a run that waits for a later move waits no longer when the clock is set back`, async () => {
    await using time = await open();
    const { store } = time;
    await store.publish(rulesOf());
    const debounce = { wait_ms: 5000, most_ms: 50_000 };
    await store.accept({ task: taskOf(), marks: [], seen_at: seenAt, debounce });
    await store.reap();
    time.set(-hour);
    await store.reap();
    expect(await store.lease(ours)).toBeNull();
    await time.pass(6000);
    expect(await store.lease(ours)).not.toBeNull();
  });
}

test.each(Array.from({ length: 12 }, (_, i) => i + 1))(
  "sqlite: a clock that is set back while a lease is given ends none (reading %d)",
  async (which) => {
    const dir = mkdtempSync(join(tmpdir(), "meshmac-leap-"));
    const start = 1_800_000_000_000;
    let [read, off] = [Number.NEGATIVE_INFINITY, 0];
    const now = () => {
      if (++read === which) off = -hour;
      return start + off;
    };
    const store = await openSqlite({ path: join(dir, "meshmac.db"), state_dir: dir, now, monotonic: () => 0 });
    try {
      await store.publish(rulesOf());
      await queue(store);
      read = 0;
      const held = heldOf(await leased(store, ours));
      read = which;
      off = -hour;
      expect(await store.lease(other)).toBeNull();
      expect((await store.renew("mac-1", [held])).words).toEqual(["ok"]);
    } finally {
      await store.close();
      rmSync(dir, { recursive: true, force: true });
    }
  },
);

test.skipIf(!canMoveClocks).each([
  ["over redis", "mac-1", false],
  ["through a gateway", "mac-1", true],
])("a lease %s, while direct nodes ask and no gateway is there", async (_way, node, through) => {
  const open = timed.find(([name]) => name === "redis")?.[1];
  if (!open) throw new Error("no redis");
  await using time = await open();
  const { store } = time;
  await store.publish(rulesOf());
  await store.reap(gate_ms);
  await queue(store);
  const held = heldOf(await leased(store, askOf({ node, through })));
  await time.pass(200_000, false);
  const taken = await store.lease(other);
  expect(taken?.attempt ?? null).toBe(through ? null : 2);
  if (!through) return;
  // Back again: one ttl for the nodes to come, and then what did not come is lost.
  await store.reap(gate_ms);
  await time.pass(80_000);
  expect(await store.lease(other)).toBeNull();
  expect((await store.renew(node, [held])).words).toEqual(["ok"]);
  await time.pass(100_000);
  expect(await store.renew(node, [held])).toMatchObject({ words: ["stale"] });
  expect(await store.show(held.run_id)).toMatchObject({ run: { state: "queued", lost: 1 } });
});
