import { join } from "node:path";
import type { Recorded } from "../../fixtures/recorded.ts";

/** Reads every recorded exchange of a source, in the order of their names. */
export async function recorded(kind: string): Promise<(Recorded & { name: string })[]> {
  const folder = join(import.meta.dir, "../../fixtures/sources", kind);
  const names = [...new Bun.Glob("*.json").scanSync(folder)].toSorted();
  return Promise.all(
    names.map(async (file) => ({ ...(await Bun.file(join(folder, file)).json()), name: file.replace(/\.json$/, "") })),
  );
}
