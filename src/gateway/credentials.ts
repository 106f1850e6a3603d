import { longestToken, type Vault } from "../secrets.ts";
import type { Door } from "./door.ts";

/** What of the vault a door needs. */
export type Locks = Pick<Vault, "accepts" | "signed">;

/** `signature` is still to be checked over the raw body; `key` names the token that matched, null while only a signature came. */
export type Credentials = { key: string | null; signature: string | null } | { wrong: string };

/** Judges the headers of a delivery before a byte of its body is read. The cause is for the log; a sender never learns it. */
export function judgeHeaders({ header, token, source }: Door, headers: Headers, locks: Locks): Credentials {
  const presented = headers.get(header);
  const signature = source.signature === undefined ? null : headers.get(source.signature);
  // Asked in every case, so that the time taken tells nothing.
  const key = locks.accepts(token, presented !== null && presented.length <= longestToken ? presented : null);
  if (presented === null) return signature === null ? { wrong: "no token" } : { key: null, signature };
  const fake = fakeCause(source.fakeTokens, presented);
  if (fake !== null) return { wrong: fake };
  if (key !== null) return { key, signature };
  return { wrong: presented.length > longestToken ? "token header too long" : "wrong token" };
}

const fakeCause = (fakes: Record<string, string> | undefined, presented: string): string | null =>
  fakes && Object.hasOwn(fakes, presented) ? (fakes[presented] ?? null) : null;
