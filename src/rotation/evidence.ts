import { type Config } from "../config.ts";
import { silentAfter } from "../core/beat.ts";
import type { TallyRow } from "../core/use.ts";
import type { GatewayRow, OperatorStore } from "../stores/store.ts";

/** One gateway that lives, and when it last said what it does with its secrets. */
export interface LiveGateway {
  gateway: string;
  /** Milliseconds since its last beat. */
  silent_ms: number;
  /** Milliseconds since it last wrote down its uses; null where it never did. */
  told_ms: number | null;
  /** What it holds of this secret, by key id; null where it has never needed it. */
  loaded: { key_id: string; loaded_ms: number }[] | null;
}

/** How one value was used, by all gateways of the last 31 days together. */
export interface ValueUse {
  count: number;
  refused: number;
  /** Milliseconds since its last use; null where it was never used. */
  idle_ms: number | null;
  /** Who used it last. */
  by: string | null;
}

/** What the store knows of one secret. */
export interface Evidence {
  gateways: LiveGateway[];
  /** Gateways that died without a word, and how long ago they were heard of: what they saw in their last second is lost. */
  died: { gateway: string; silent_ms: number }[];
  uses: Map<string, ValueUse>;
}

/** Everything that gateways have said, asked for once. */
export interface Testimony {
  /** Those that live, and those that died without a word. */
  gateways: GatewayRow[];
  died: GatewayRow[];
  tallies: TallyRow[];
}

/** Asks the store which gateways live and what they said of their secrets. */
export async function testimonyIn(
  store: Pick<OperatorStore, "gateways" | "uses">,
  kind: Config["store"]["kind"],
): Promise<Testimony> {
  const [gateways, tallies] = await Promise.all([store.gateways(), store.uses()]);
  const live = living(gateways, kind);
  const died = gateways.filter((one) => !live.includes(one) && one.facts.stopped !== true);
  return { gateways: live, died, tallies };
}

/** Picks what concerns one secret. */
export function evidenceOf({ gateways, died, tallies }: Testimony, secret: string): Evidence {
  const told = new Map(tallies.map((tally) => [tally.gateway, tally]));
  return {
    gateways: gateways.map(({ gateway, silent_ms }) => {
      const tally = told.get(gateway);
      const rows = (tally?.uses ?? []).filter((use) => use.secret === secret);
      const loaded = rows.flatMap(({ key_id, role, loaded_ms }) =>
        role === null ? [] : [{ key_id, loaded_ms: loaded_ms ?? 0 }],
      );
      return { gateway, silent_ms, told_ms: tally?.silent_ms ?? null, loaded: rows.length === 0 ? null : loaded };
    }),
    died: died.map(({ gateway, silent_ms }) => ({
      gateway,
      silent_ms: Math.min(silent_ms, told.get(gateway)?.silent_ms ?? silent_ms),
    })),
    uses: usesOf(tallies, secret),
  };
}

function usesOf(tallies: TallyRow[], secret: string): Map<string, ValueUse> {
  const uses = new Map<string, ValueUse>();
  for (const { gateway, uses: said } of tallies) {
    for (const { key_id, count, refused, idle_ms } of said.filter((use) => use.secret === secret)) {
      const known = uses.get(key_id) ?? { count: 0, refused: 0, idle_ms: null, by: null };
      const later = idle_ms !== null && (known.idle_ms === null || idle_ms < known.idle_ms);
      uses.set(key_id, {
        count: known.count + count,
        refused: known.refused + refused,
        ...(later ? { idle_ms, by: gateway } : { idle_ms: known.idle_ms, by: known.by }),
      });
    }
  }
  return uses;
}

function living(gateways: GatewayRow[], kind: Config["store"]["kind"]): GatewayRow[] {
  const live = gateways.filter(({ facts, silent_ms }) => silent_ms < silentAfter && facts.stopped !== true);
  if (kind !== "sqlite") return live;
  // A SQLite file has one owner: whoever beat last is the one.
  return live.toSorted((one, other) => one.silent_ms - other.silent_ms).slice(0, 1);
}
