import type { Use } from "./records.ts";

/** What one gateway said last of the secrets it has loaded and used; every age is as of now. */
export interface TallyRow {
  gateway: string;
  /** Milliseconds since it said so, by the store's own clock. */
  silent_ms: number;
  uses: Use[];
}

/** How long it is remembered what a gateway said of its secrets, and of how many gateways. */
export const keptTallies = { ms: 31 * 86_400_000, gateways: 500 } as const;

/** Makes uses that were written down `ms` ago as old as they are now. */
export const aged = (uses: Use[], ms: number): Use[] =>
  uses.map((use) => ({
    ...use,
    loaded_ms: use.loaded_ms === null ? null : use.loaded_ms + ms,
    idle_ms: use.idle_ms === null ? null : use.idle_ms + ms,
  }));
