import type { Health, Opening } from "../stores/store.ts";

/** What a try showed of its destination: it works, it failed, or it refuses us until somebody mends its configuration. */
export type Sign = "works" | "failed" | "refused";

const seconds = 1000;
const minutes = 60 * seconds;
const hours = 60 * minutes;

export type Openings = Record<"failed" | "refused", Opening>;

export const openings: Openings = {
  failed: { limit: 1, open_ms: 30 * seconds, longest_ms: 10 * minutes, give_up_ms: 24 * hours },
  // Knocking on a door that says 401 gets an address banned: https://discord.com/developers/docs/topics/rate-limits
  refused: { limit: 1, open_ms: 10 * minutes, longest_ms: 10 * minutes, give_up_ms: 24 * hours },
};

/**
 * Tells the store what a try showed. A post that failed in all its quick tries (`early` no more) opens the circuit for 30 s,
 * doubled up to 10 min; a refusal opens it at once. What a hiccup of some seconds costs is thus the retry template's to say.
 */
export function healthOf(sign: Sign, setup: string, early: boolean, numbers: Openings = openings): Health {
  if (sign === "works") return { well: true };
  const refused = sign === "refused";
  return { well: false, cause: refused ? "config" : "failures", setup, early: early && !refused, ...numbers[sign] };
}
