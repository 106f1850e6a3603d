import { chmodSync, copyFileSync, lstatSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { whyOf } from "./why.ts";
import type { Diagnosis } from "./doctor.ts";

export interface Mended {
  id: string;
  about: string;
  /** What was done, or why it could not be. */
  says: string;
  done: boolean;
}

/** Mends what can be mended without asking. Each file is copied into `backup` before it is touched, its mode and owner written down beside it. */
export async function mend(findings: readonly Diagnosis[], backup: string): Promise<Mended[]> {
  const mended: Mended[] = [];
  for (const { id, about, fix, mend: change } of findings) {
    if (!change) continue;
    try {
      keep(change.files, backup);
      await change.apply();
      mended.push({ id, about, says: `done: ${fix}`, done: true });
    } catch (fault) {
      mended.push({ id, about, says: whyOf(fault), done: false });
    }
  }
  return mended;
}

function keep(files: string[], backup: string): void {
  mkdirSync(backup, { recursive: true, mode: 0o700 });
  for (const file of files) {
    const { mode, uid, gid } = lstatSync(file);
    const copy = join(backup, `${keptAs.next().value}-${basename(file)}`);
    copyFileSync(file, copy);
    chmodSync(copy, 0o600);
    const stood = { file, mode: (mode & 0o7777).toString(8).padStart(4, "0"), uid, gid };
    writeFileSync(`${copy}.json`, `${JSON.stringify(stood)}\n`, { mode: 0o600 });
  }
}

/** Two files of one name must not meet in a backup. */
const keptAs = (function* () {
  for (let n = 1; ; n++) yield n;
})();
