import { defineCommand } from "citty";
import { MeshError } from "../../src/core/error.ts";
import { openLender } from "../../src/stores/open.ts";
import type { OperatorStore } from "../../src/stores/store.ts";
import { realClock } from "../../src/worker/clock.ts";
import { runHolding } from "../../src/worker/hold.ts";
import { configArgs } from "../args.ts";
import { durationOf } from "../duration.ts";
import { commandArg, commandIn } from "../flags.ts";
import { adminPlace, configured } from "../runs/open.ts";
import { hearSignals } from "../signals.ts";
import { knownLock } from "./known.ts";
import { whoOf } from "./list.ts";

export default defineCommand({
  meta: { name: "hold", description: "Run a command while holding a lock of the pool" },
  args: {
    lock: { type: "positional", description: "name of the lock", required: true },
    command: commandArg,
    for: { type: "string", description: "end the command after so long", valueHint: "20m", required: true },
    wait: { type: "string", description: "wait so long for the lock", valueHint: "10m", default: "0s" },
    ...configArgs,
  },
  async run({ args, rawArgs }) {
    const wish = { lock: args.lock, for_ms: durationOf("--for", args.for), wait_ms: durationOf("--wait", args.wait) };
    if (wish.for_ms === 0) throw new MeshError("usage", "--for expects more than nothing");
    const found = await configured(args.config);
    if (adminPlace(found)) {
      throw new MeshError("config", "a lock is held on a machine that has the store", {
        hint: "over the admin side locks are looked at: meshmac lanes list",
      });
    }
    const { config } = found;
    const lender = await openLender(config);
    try {
      await lender.lend((store) => knownLock(store, args.lock));
      const { ttl: ttl_ms, heartbeat: heartbeat_ms, fence: fence_ms } = config.lease;
      const house = { lend: lender.lend, clock: realClock, hearSignals, whoHolds };
      return await runHolding(
        house,
        { ...wish, node: config.node.id, ttl_ms, heartbeat_ms, fence_ms },
        commandIn(rawArgs, 1),
      );
    } finally {
      await lender.close();
    }
  },
});

async function whoHolds(store: OperatorStore, lock: string): Promise<string> {
  const held = (await store.lanes()).locks.find((row) => row.lock === lock)?.held ?? [];
  return held.length === 0 ? "wanted by others" : `held by ${held.map(whoOf).join(", ")}`;
}
