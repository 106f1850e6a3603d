import { randomBytes } from "node:crypto";
import { closeSync, constants, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { MeshError } from "../core/error.ts";
import { isSecretName } from "../core/secret.ts";
import { pathOf } from "./file.ts";

/** Draws a token: 32 random bytes as 64 hex characters. */
export const createToken = (): string => randomBytes(32).toString("hex");

/** Writes a secret so that readers see the old value or the new one whole: folders 0700, the file 0600, a rename, all on disk. */
export function writeSecret(dir: string, name: string, text: string): void {
  if (!isSecretName(name)) throw new MeshError("usage", `${JSON.stringify(name)} is no name for a secret`);
  const path = pathOf(dir, name);
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomBytes(6).toString("hex")}.draft`;
  try {
    const file = openSync(
      draft,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o600,
    );
    try {
      writeSync(file, `${text}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, path);
  } catch (fault) {
    rmSync(draft, { force: true });
    throw fault;
  }
  const opened = openSync(folder, constants.O_RDONLY);
  fsyncSync(opened);
  closeSync(opened);
}
