import { type Claim, claimIn, tokenIn } from "../core/verify.ts";
import { longestToken, type Vault } from "../secrets.ts";
import type { Door } from "./door.ts";

/** What of the vault a door needs. */
export type Locks = Pick<Vault, "accepts" | "signed" | "retired">;

/** The same, and those that leave no trace for who sends to itself. */
export type DoorLocks = Locks & Pick<Vault, "uncounted">;

/** `claim` is still to be checked over the raw body; `key` names the token that matched, null while only a signature came. */
export type Credentials = { key: string | null; claim: Claim | null } | { wrong: string };

/**
 * Judges the headers of a delivery before a byte of its body is read; `now` is in epoch milliseconds. The cause is for the
 * log; a sender never learns it.
 */
export function judgeHeaders(
  { verify, token, source }: Door,
  headers: Headers,
  locks: Locks,
  now: number,
): Credentials {
  const presented = verify.token ? headers.get(verify.token.header) : null;
  const fits = presented !== null && presented.length <= longestToken;
  // Asked in every case, so that the time taken tells nothing.
  const key = verify.token ? locks.accepts(token, fits ? tokenIn(presented, verify.token.prefix) : null) : null;
  const claim = verify.signature ? claimIn(headers, verify.signature, now) : null;
  if (verify.either && key !== null) return { key, claim: null };
  if (claim && "wrong" in claim) return claim;
  if (presented === null || (verify.either && claim)) {
    return claim ? { key: null, claim } : { wrong: verify.token ? "no token" : "no signature" };
  }
  const fake = fakeCause(source.fakeTokens, presented);
  if (fake !== null) return { wrong: fake };
  if (key !== null) return { key, claim };
  if (!fits) return { wrong: "token header too long" };
  return { wrong: locks.retired(token, tokenIn(presented, verify.token?.prefix) ?? "") ?? "wrong token" };
}

const fakeCause = (fakes: Record<string, string> | undefined, presented: string): string | null =>
  fakes && Object.hasOwn(fakes, presented) ? (fakes[presented] ?? null) : null;
