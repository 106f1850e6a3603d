import { stat } from "node:fs/promises";
import { findScript } from "./scripts.ts";

interface Known {
  stamp: string;
  hash: string;
}

/** The SHA-256 of scripts, read anew only when a file changed: a worker says them each time it asks for work. */
export class ScriptHashes {
  #known = new Map<string, Known>();

  /** Answers the hash of each of these scripts in `dir`, as hex. One that cannot be read has none. */
  async of(dir: string, names: readonly string[]): Promise<Record<string, string>> {
    const known = new Map<string, Known>();
    for (const name of names) {
      const path = await findScript(dir, name);
      const now = path === null ? null : await look(path, this.#known.get(name)).catch(() => null);
      if (now) known.set(name, now);
    }
    this.#known = known;
    return Object.fromEntries([...known].map(([name, { hash }]) => [name, hash]));
  }
}

async function look(path: string, known: Known | undefined): Promise<Known> {
  const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  const stamp = `${path} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  if (known?.stamp === stamp) return known;
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const chunk of Bun.file(path).stream()) hasher.update(chunk);
  return { stamp, hash: hasher.digest("hex") };
}
