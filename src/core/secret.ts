import { inspect } from "node:util";
import { z } from "zod";
import { MeshError } from "./error.ts";

const namePattern = /^[A-Za-z0-9][\w.-]*(\/[A-Za-z0-9][\w.-]*)*$/;
// A pasted token would often pass for a name, and be shown as one; a name has a folder or says by its ending what it is.
const saysWhatItIs = /\.(token|url|key|password|secret)(\.next)?$/;

/** Whether this can be the path of a file under `secrets_dir`, and is not a pasted secret. */
export function isSecretName(name: string): boolean {
  if (!namePattern.test(name) || name.includes("..") || name.length > 128) return false;
  return saysWhatItIs.test(name) || (name.includes("/") && name.split("/").every((part) => part.length < 40));
}

/** One value of a secret, for the moment of its use. */
export interface Live {
  text: string;
  keyId: string;
  /** Says that it was sent, and whether the other side refused it. */
  used(refused: boolean): void;
  /** Says that what it was sent with was judged to be done. */
  taken(): void;
}

/**
 * A secret by its name under `secrets_dir`. The text stays in the vault: everything that prints, joins or serialises a
 * Secret shows the name only. `reveal` and `lives` are for `http.ts` and the stores, and nobody else (an architecture test says so).
 */
export class Secret {
  readonly name: string;
  #read: (() => Live[]) | undefined;

  constructor(name: string, read?: () => string) {
    this.name = name;
    if (read) this.bind(read);
  }

  /** Connects the name to the vault that holds its text, or its values in the order in which they are to be tried. */
  bind(read: () => string | Live[]): void {
    this.#read = () => {
      const found = read();
      return typeof found === "string" ? [{ text: found, keyId: "", used: () => {}, taken: () => {} }] : found;
    };
  }

  /** Returns the text to use, read anew when its file changed. */
  reveal(): string {
    return this.lives()[0]?.text ?? "";
  }

  /** Returns what may be used, in the order to try it: for the time of a rotation there may be two. */
  lives(): Live[] {
    if (!this.#read) throw new MeshError("bug", `secret ${this.name} was not bound to a vault`);
    return this.#read();
  }

  toString(): string {
    return `<secret ${this.name}>`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/** Parses the path of a file under `secrets_dir` to a Secret; refuses what looks like the secret itself. */
export const secret = z
  .string()
  .refine(isSecretName, {
    error: "name a file under secrets_dir, not the secret itself",
  })
  .transform((name) => new Secret(name));
