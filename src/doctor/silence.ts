import { silentAfter } from "../core/beat.ts";
import type { Json } from "../core/json.ts";
import type { GatewayRow } from "../stores/store.ts";

/** The gateways that still beat; one that ended in order says so with its last beat. */
export const live = (rows: GatewayRow[]): GatewayRow[] =>
  rows.filter(({ silent_ms, facts }) => silent_ms < silentAfter && facts.stopped !== true);

/** A fact of a gateway, where it is text. */
export const textFact = ({ facts }: GatewayRow, name: string): string | null => {
  const fact: Json | undefined = facts[name];
  return typeof fact === "string" ? fact : null;
};

/** A fact of a gateway, where it is a list of texts. */
export function listFact({ facts }: GatewayRow, name: string): string[] {
  const fact: Json | undefined = facts[name];
  return Array.isArray(fact) ? fact.filter((item) => typeof item === "string") : [];
}
