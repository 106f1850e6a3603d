import type { OperatorStore } from "../stores/store.ts";

// Three beats of a gateway, one every 10 s.
const silentFor = 30_000;

/** Whether a gateway that sends has beaten lately; a standby is none. */
export async function hasSender(store: Pick<OperatorStore, "gateways">): Promise<boolean> {
  return (await store.gateways()).some(({ silent_ms, facts }) => silent_ms < silentFor && facts.sends !== false);
}
