import { type Explanation, explain } from "../core/explain.ts";
import { proofOf } from "../core/verify.ts";
import { judgeHeaders, type Locks } from "./credentials.ts";
import type { Door } from "./door.ts";
import { readingOf } from "./reading.ts";

export interface Asked {
  door: Door;
  body: Uint8Array;
  headers: Headers;
  /** Null where the token is not to be looked at. */
  locks: Locks | null;
  /** Epoch milliseconds. */
  now: number;
}

/** What a door would make of a body: `verified` is null where nothing was looked at, else the key id, or why it is refused. */
export interface Explained extends Explanation {
  verified: { key_id: string } | { wrong: string } | null;
}

/** Explains offline what a door would do with a body, by the same steps as a delivery goes through; stores nothing. Throws what reading the token's file throws. */
export function explainDelivery({ door, body, headers, locks, now }: Asked): Explained {
  const verified = locks && verify(door, { body, headers, locks, now });
  const sent = new Headers(headers);
  if (!sent.has("content-type")) sent.set("Content-Type", "application/json");
  const given = { source: door.name, run_id: Bun.randomUUIDv7(), correlation_id: "explain", seen_at: now };
  return { verified, ...explain(readingOf(door, body, sent, given), door.rules) };
}

function verify(
  door: Door,
  { body, headers, locks, now }: { body: Uint8Array; headers: Headers; locks: Locks; now: number },
): { key_id: string } | { wrong: string } {
  const credentials = judgeHeaders(door, headers, locks, now);
  if ("wrong" in credentials) return credentials;
  const { key, claim } = credentials;
  const signed = claim && locks.signed(door.token, proofOf(claim, body));
  if (claim && signed === null) return { wrong: "wrong signature" };
  const key_id = key ?? signed;
  return key_id === null ? { wrong: "no token" } : { key_id };
}
