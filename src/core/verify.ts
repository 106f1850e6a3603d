import { timingSafeEqual } from "node:crypto";
import { standardKey } from "./standard-webhooks.ts";

/** How deliveries at a door prove where they come from. Where both come, the signature must hold beside a right token. */
export interface Verify {
  /** One of the two is enough: this sender makes them of different secrets, and the door knows one. */
  either?: true;
  /** A header that carries the token itself, after `prefix` (`Bearer `) where there is one. */
  token?: { header: string; prefix?: string };
  signature?: SignatureRule;
  /** Headers with an id that the sender keeps over its retries; the first that is there counts. */
  ids: string[];
}

/** A header that carries HMAC-SHA256, keyed with the door's secret, over a text made of the body and other headers. */
export interface SignatureRule {
  header: string;
  /** What stands before the code: `sha256=`, `v1,` or nothing. Of a list with blanks between, every one so marked counts. */
  prefix: string;
  encoding: "hex" | "base64";
  /** What is signed, of `{id}`, `{timestamp}` and `{body}`. */
  signed: string;
  /** The header that `{id}` stands for. */
  id?: string;
  /** The header that `{timestamp}` stands for: seconds since 1970. Given a tolerance, one further away than that is refused. */
  timestamp?: { header: string; tolerance_ms: number | null };
  /** The secret's own bytes, or those that its base64 after `whsec_` stands for. */
  key: "text" | "base64";
}

/** A signature as it came, with everything it was made of. */
export interface Proof {
  message: (string | Uint8Array)[];
  /** Codes of 32 bytes, any of which may be the right one; a sender that rotates its key sends two. */
  codes: Uint8Array[];
  key: SignatureRule["key"];
}

/** What the headers say of a signature, before a byte of the body is read. */
export type Claim = { rule: SignatureRule; value: string; id: string; timestamp: string };

const mostCodes = 8;
const longestSignature = 2048;

/** Reads the headers of a signature: null where there is none, or why it cannot be right. `now` is in epoch milliseconds. */
export function claimIn(headers: Headers, rule: SignatureRule, now: number): Claim | { wrong: string } | null {
  const value = headers.get(rule.header);
  if (value === null) return null;
  if (value.length > longestSignature) return { wrong: "signature header too long" };
  const id = rule.id === undefined ? "" : headers.get(rule.id);
  if (id === null) return { wrong: `no ${rule.id} header, which is signed too` };
  const timestamp = rule.timestamp === undefined ? "" : headers.get(rule.timestamp.header);
  if (timestamp === null) return { wrong: `no ${rule.timestamp?.header} header, which is signed too` };
  const tolerance = rule.timestamp?.tolerance_ms ?? null;
  if (tolerance !== null) {
    if (!/^\d{1,12}$/.test(timestamp)) return { wrong: "the signed timestamp is no number of seconds" };
    const away = Math.abs(now - Number(timestamp) * 1000);
    if (away > tolerance) return { wrong: `the signed timestamp is ${Math.round(away / 1000)} s away from our clock` };
  }
  return { rule, value, id, timestamp };
}

/** Joins what a signature claims with the body as it came. */
export function proofOf({ rule, value, id, timestamp }: Claim, body: Uint8Array): Proof {
  return { message: messageOf(rule, { id, timestamp, body }), codes: codesIn(value, rule), key: rule.key };
}

/** Says whether one of a proof's codes was made with this secret; looks at all of them, so that time tells nothing. */
export function proves({ message, codes, key }: Proof, secret: Uint8Array): boolean {
  const expected = codeOf(message, key, secret);
  if (expected === null) return false;
  let right = false;
  for (const code of codes.length > 0 ? codes : [new Uint8Array(32)]) {
    right = (timingSafeEqual(expected, code) && codes.length > 0) || right;
  }
  return right;
}

/** Makes the headers by which a delivery of ours proves itself at a door; `now` is in epoch milliseconds. */
export function provenHeaders(
  { token, signature }: Verify,
  secret: string,
  { body, id, now }: { body: string; id: string; now: number },
): Record<string, string> {
  if (token) return { [token.header]: `${token.prefix ?? ""}${secret}` };
  if (!signature) return {};
  const timestamp = String(Math.floor(now / 1000));
  const message = messageOf(signature, { id, timestamp, body: Buffer.from(body) });
  const code = codeOf(message, signature.key, Buffer.from(secret)) ?? Buffer.alloc(32);
  return {
    ...(signature.id !== undefined && { [signature.id]: id }),
    ...(signature.timestamp && { [signature.timestamp.header]: timestamp }),
    [signature.header]: `${signature.prefix}${code.toString(signature.encoding)}`,
  };
}

/** The id that the sender keeps over its retries of one delivery, or null. */
export function deliveryIdIn(headers: Headers, { ids }: Verify): string | null {
  for (const name of ids) {
    const id = headers.get(name);
    if (id) return id;
  }
  return null;
}

/** Takes a token out of what its header carries; null where the prefix is another one. A scheme's name has no case. */
export function tokenIn(presented: string, prefix = ""): string | null {
  return presented.slice(0, prefix.length).toLowerCase() === prefix.toLowerCase()
    ? presented.slice(prefix.length)
    : null;
}

function messageOf(
  { signed }: SignatureRule,
  { id, timestamp, body }: { id: string; timestamp: string; body: Uint8Array },
): (string | Uint8Array)[] {
  return signed.split(/(\{(?:id|timestamp|body)\})/).map((part) => {
    if (part === "{body}") return body;
    return part === "{id}" ? id : part === "{timestamp}" ? timestamp : part;
  });
}

function codeOf(message: (string | Uint8Array)[], key: SignatureRule["key"], secret: Uint8Array): Buffer | null {
  const bytes = key === "base64" ? standardKey(Buffer.from(secret).toString()) : secret;
  if (bytes === null) return null;
  const hash = new Bun.CryptoHasher("sha256", bytes);
  for (const part of message) hash.update(part);
  return hash.digest();
}

const shapes = { hex: /^[0-9a-f]{64}$/i, base64: /^[A-Za-z0-9+/]{43}=?$/ };

function codesIn(value: string, { prefix, encoding }: SignatureRule): Uint8Array[] {
  return value
    .split(" ")
    .slice(0, mostCodes)
    .flatMap((part) => {
      const code = tokenIn(part, prefix) ?? part;
      return shapes[encoding].test(code) ? [Buffer.from(code, encoding)] : [];
    });
}
