import { expect, setDefaultTimeout, test } from "bun:test";
import { configSchema } from "../../src/config/schema.ts";
import { askOf, heldOf, leased, queue, rulesOf } from "../stores/conformance/given.ts";
import { timed } from "../stores/timed.ts";
import { Builders, ways } from "./builders.ts";
import { diceOf } from "./dice.ts";

// How a run comes back when its node does not. `./test/run --chaos N` also says how long it took, and does it once in real
// time with the default numbers, which takes two minutes.

setDefaultTimeout(30_000);

const second = 1000;

test.each(timed)(
  "over %s, with the default numbers, a dead node's run is another's 90 s after it was last heard of, and not sooner",
  async (_name, open) => {
    const { lease } = configSchema().parse({});
    await using time = await open();
    const { store } = time;
    const { ttl: ttl_ms, heartbeat: heartbeat_ms, fence: fence_ms } = lease;
    await store.publish(rulesOf({ lease: { ttl_ms, heartbeat_ms, fence_ms } }));
    const { run_id } = await queue(store);
    const first = await leased(store, askOf({ node: "mac-1" }));
    await time.pass(heartbeat_ms);
    expect((await store.renew("mac-1", [heldOf(first)])).words).toEqual(["ok"]);
    const other = askOf({ node: "mac-2" });
    let silent = 0;
    for (; (await store.lease(other)) === null; silent += second) await time.pass(second);
    // Between two steps a real moment passes on Redis' clock.
    expect(silent).toBeOneOf([89 * second, 90 * second]);
    expect(await store.show(run_id)).toMatchObject({ run: { node: "mac-2", attempt: 2, lost: 1 } });
  },
);

const scaled = { ttl: "3s", heartbeat: "600ms", fence: "2s" };
const real = { ttl: "90s", heartbeat: "20s", fence: "60s" };

test.skipIf(process.platform !== "linux").each(ways)(
  "over %s, a worker that is killed for good has its run begun on another node",
  async (way) => {
    await using builders = await Builders.open(way, diceOf(1), scaled);
    const ms = await builders.recover();
    if (process.env.CHAOS_RUNS)
      process.stdout.write(`${way}: begun elsewhere ${Math.round(ms)} ms after the kill, leases of 3 s\n`);
  },
);

test.skipIf(process.platform !== "linux" || !process.env.CHAOS_RUNS).concurrent.each(ways)(
  "over %s, with the default numbers and in real time, within 120 s",
  async (way) => {
    await using builders = await Builders.open(way, diceOf(1), real);
    const ms = await builders.recover(120_000);
    process.stdout.write(`${way}: begun elsewhere ${Math.round(ms)} ms after the kill, leases of 90 s\n`);
  },
  240_000,
);
