import { expect, test } from "bun:test";
import { describe as told } from "../../commands/doctor/text.ts";

const gateway = (facts: Record<string, unknown>) => ({
  gateway: "mac-07/1",
  last_seen: 0,
  silent_ms: 4000,
  facts: { version: "0.1.0", ...facts },
});

test.each([
  [{ sends: true, sending: 2 }, "sending 2"],
  [{ sends: false }, "standby"],
  [{ sends: false, stopped: true }, "stopped"],
])("tells of a gateway with %p that it is %s", (facts, role) => {
  const text = told({ findings: [], unchecked: [], gateways: [gateway(facts)] });
  expect(text).toBe(`gateway mac-07/1: ${role}, seen 4.0 s ago, meshmac 0.1.0\nnothing is wrong`);
});
