import { MeshError } from "./error.ts";

/** What a signature is made of: the message's own id, the time in seconds, and the body as it travels. */
export interface Signed {
  id: string;
  timestamp: number;
  body: string | Uint8Array;
}

/**
 * Signs as https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md says: `v1,` and the
 * base64 of HMAC-SHA256 over `id.timestamp.body`. Throws `config` where `key` is not `whsec_` and the base64 of 24 to 64 bytes.
 */
export function standardSignature(key: string, { id, timestamp, body }: Signed): string {
  const code = new Bun.CryptoHasher("sha256", bytesOf(key)).update(`${id}.${timestamp}.`).update(body);
  return `v1,${code.digest("base64")}`;
}

/** Throws `config` where `key` cannot sign; never repeats it. */
export const checkSigningKey = (key: string): void => void bytesOf(key);

function bytesOf(key: string): Buffer {
  const text = key.trim().replace(/^whsec_/, "");
  const bytes = Buffer.from(/^[A-Za-z0-9+/]+={0,2}$/.test(text) ? text : "", "base64");
  if (bytes.length >= 24 && bytes.length <= 64) return bytes;
  throw new MeshError("config", "the signing key is not whsec_ and the base64 of 24 to 64 bytes", {
    hint: 'make one with: echo "whsec_$(openssl rand -base64 32)"',
  });
}
