import { MeshError } from "../core/error.ts";
import { readGuarded, stampOf } from "./file.ts";

/** One value of a secret, in every form that comparing and naming it needs. */
export interface Value {
  text: string;
  bytes: Buffer;
  digest: Buffer;
  keyId: string;
}

export type Demand = "any" | "inbound";

const shortestToken = 32;
/** A header longer than any token is not worth hashing, so no inbound token may be longer than this. */
export const longestToken = 512;
// What arrives in a header is trimmed, and read as Latin-1: anything else could never match.
const headerText = /^[\x21-\x7E](?:[\x20-\x7E]*[\x21-\x7E])?$/;

/** One file as last seen. `value` stays the last good one while a change of the file cannot be used. */
export class Copy {
  value: Value | null = null;
  fault: unknown = null;
  #stamp: string | null | undefined;
  readonly path: string;
  readonly #top: string;
  readonly #staged: boolean;

  constructor(path: string, top: string, staged: boolean) {
    this.path = path;
    this.#top = top;
    this.#staged = staged;
  }

  /** Looks at the file and reads it when it changed or could not be used before; returns whether it changed. */
  look(demand: Demand): boolean {
    const stamp = stampOf(this.path);
    const changed = stamp !== this.#stamp;
    if (!changed && this.fault === null) return false;
    this.#stamp = stamp;
    this.fault = null;
    try {
      this.value = stamp === null && this.#staged ? null : valueOf(this.path, this.#top, demand);
    } catch (fault) {
      this.fault = fault;
    }
    return changed;
  }

  /** Forgets what was seen, so that the next look reads the file in any case. */
  forget(): void {
    this.#stamp = undefined;
  }
}

/** Hashes text as tokens are compared and key ids are made. */
export function sha256(text: string | Uint8Array): Buffer {
  const digest = Buffer.alloc(32);
  Bun.SHA256.hash(text, digest);
  return digest;
}

function valueOf(path: string, top: string, demand: Demand): Value {
  const text = readGuarded(path, top)
    .toString("utf8")
    .replace(/\r?\n$/, "");
  if (text === "") throw new MeshError("config", `${path} is empty`, { hint: "write the value into it" });
  if (demand === "inbound") refuseWeak(path, text);
  const bytes = Buffer.from(text);
  const digest = sha256(bytes);
  return { text, bytes, digest, keyId: digest.toString("hex", 0, 4) };
}

function refuseWeak(path: string, text: string): void {
  const fault = weaknessOf(text);
  if (fault) throw new MeshError("config", `${path} ${fault}`, { hint: "make one with: openssl rand -hex 32" });
}

function weaknessOf(text: string): string | null {
  const { length } = text;
  if (length < shortestToken) return `holds ${length} characters, an inbound token needs ${shortestToken}`;
  if (length > longestToken) return `holds ${length} characters, an inbound token has at most ${longestToken}`;
  if (headerText.test(text)) return null;
  return "cannot arrive in a header: an inbound token is one line of ASCII without a space at either end";
}
