import { MeshError } from "../core/error.ts";
import { readGuarded, stampOf } from "./file.ts";
import type { Usage } from "./usage.ts";

/** One value of a secret, in every form that comparing and naming it needs. */
export interface Value {
  text: string;
  bytes: Buffer;
  digest: Buffer;
  keyId: string;
  /** How this process has used it; kept when the value moves from one file to another. */
  usage: Usage;
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
  readonly #usageOf: (keyId: string) => Usage;

  constructor(path: string, top: string, staged: boolean, usageOf: (keyId: string) => Usage) {
    this.path = path;
    this.#top = top;
    this.#staged = staged;
    this.#usageOf = usageOf;
  }

  /** Looks at the file and reads it when it changed or could not be used before; returns whether it changed. */
  look(demand: Demand): boolean {
    const stamp = stampOf(this.path);
    const changed = stamp !== this.#stamp;
    if (!changed && this.fault === null) return false;
    this.#stamp = stamp;
    this.fault = null;
    try {
      this.value = stamp === null && this.#staged ? null : this.#read(demand);
    } catch (fault) {
      this.fault = fault;
    }
    return changed;
  }

  #read(demand: Demand): Value {
    const text = readText(this.path, this.#top, demand);
    const bytes = Buffer.from(text);
    const digest = sha256(bytes);
    const keyId = keyIdOf(digest);
    return { text, bytes, digest, keyId, usage: this.#usageOf(keyId) };
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

/** Names a value by the first 8 hex digits of its SHA-256. */
export const keyIdOf = (digest: Buffer): string => digest.toString("hex", 0, 4);

/** Reads the value that a secret file holds. Throws like `readGuarded`, and `config` where it is empty or cannot do what is asked of it. */
export function readText(path: string, top: string, demand: Demand): string {
  const text = textIn(readGuarded(path, top));
  refuseUnfit(path, text, demand);
  return text;
}

/** The value in a file's bytes: one trailing newline is none of it. */
export const textIn = (bytes: Buffer): string => bytes.toString("utf8").replace(/\r?\n$/, "");

/** Throws `config` where a text is no value, or could not open a door that it shall open; `what` begins the message. */
export function refuseUnfit(what: string, text: string, demand: Demand): void {
  if (text === "") throw new MeshError("config", `${what} is empty`, { hint: "write the value into it" });
  if (demand === "inbound") refuseWeak(what, text);
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
