import { join } from "node:path";
import type { JsonObject } from "../../src/core/json.ts";

/** A recorded exchange: what a system sent, and what must be read from it. */
export interface Recorded {
  about: string;
  headers: Record<string, string>;
  options?: JsonObject;
  body: JsonObject;
  expect: JsonObject;
}

/** Reads every recorded exchange of a source, in the order of their names. */
export async function recorded(kind: string): Promise<Recorded[]> {
  const folder = join(import.meta.dir, "../../fixtures/sources", kind);
  const names = [...new Bun.Glob("*.json").scanSync(folder)].toSorted();
  return Promise.all(names.map((name) => Bun.file(join(folder, name)).json() as Promise<Recorded>));
}
