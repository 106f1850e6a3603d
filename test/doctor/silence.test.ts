import { expect, test } from "bun:test";
import { silentAfter } from "../../src/core/beat.ts";
import { live } from "../../src/doctor/silence.ts";
import { hasSender } from "../../src/gateway/senders.ts";
import { testimonyIn } from "../../src/rotation/evidence.ts";

test.each([
  ["has just beaten", silentAfter - 1, 1],
  ["missed three beats", silentAfter, 0],
])(
  "a gateway that %s is alive, or is not, for doctor, gateways and rotation alike",
  async (_what, silent_ms, count) => {
    const rows = [{ gateway: "mac-01/1", facts: { sends: true }, last_seen: 1, silent_ms }];
    const store = { gateways: async () => rows, uses: async () => [] };
    expect(live(rows)).toHaveLength(count);
    expect(await hasSender(store)).toBe(count === 1);
    expect((await testimonyIn(store, "redis")).gateways).toHaveLength(count);
  },
);
