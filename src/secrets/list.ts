import { readdirSync } from "node:fs";
import { join } from "node:path";
import { isSecretName } from "../core/secret.ts";

/** Lists the secrets in one folder under `dir` that are tokens, by name: `nodes/mac-07.token`; none where there is no such folder. */
export function tokensIn(dir: string, folder: string): string[] {
  return entriesOf(join(dir, folder))
    .filter((file) => file.endsWith(".token"))
    .map((file) => `${folder}/${file}`)
    .filter(isSecretName)
    .toSorted();
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (fault) {
    if (fault instanceof Error && "code" in fault && (fault.code === "ENOENT" || fault.code === "ENOTDIR")) return [];
    throw fault;
  }
}
