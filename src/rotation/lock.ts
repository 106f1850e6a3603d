import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { MeshError } from "../core/error.ts";

const patience = 5000;
const between = 25;

/** Does something as the only one who rotates here: what the kernel holds for us ends with the process. Throws `permission` where we may not write, `later` where another process goes on rotating. */
export async function alone<T>(secrets_dir: string, act: () => T): Promise<T> {
  demandWritable(secrets_dir);
  const { holdFile } = await import("../stores/sqlite/lock.ts");
  for (const end = performance.now() + patience; ; await new Promise((next) => setTimeout(next, between))) {
    const release = holdFile(join(secrets_dir, ".rotate.lock"));
    if (release) {
      try {
        return act();
      } finally {
        release();
      }
    }
    if (performance.now() > end) {
      throw new MeshError("later", "another meshmac rotate is at work", { hint: "run it again in a moment" });
    }
  }
}

/** Throws `permission` where this user may not write to a folder of secrets. */
function demandWritable(folder: string): void {
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch {
    throw new MeshError("permission", `${folder} cannot be written by this user`, {
      hint: "run it as the owner of the secret files, or as root",
    });
  }
}
