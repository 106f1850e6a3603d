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

/**
 * A secret by its name under `secrets_dir`. The text stays in the vault: everything that prints, joins or serialises a
 * Secret shows the name only. `reveal` is for `http.ts` and the stores, and nobody else (an architecture test says so).
 */
export class Secret {
  readonly name: string;
  #read: (() => string) | undefined;

  constructor(name: string, read?: () => string) {
    this.name = name;
    this.#read = read;
  }

  /** Connects the name to the vault that holds its text. */
  bind(read: () => string): void {
    this.#read = read;
  }

  /** Returns the secret's current text, read anew when its file changed. */
  reveal(): string {
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
