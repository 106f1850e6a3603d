import { silentAfter } from "../core/beat.ts";
import type { OperatorStore } from "../stores/store.ts";

/** Whether a gateway that sends has beaten lately; a standby is none. */
export async function hasSender(store: Pick<OperatorStore, "gateways">): Promise<boolean> {
  return (await store.gateways()).some(({ silent_ms, facts }) => silent_ms < silentAfter && facts.sends !== false);
}
