import { stat } from "node:fs/promises";
import { findScript } from "./scripts.ts";

interface Known {
  stamp: string;
  hash: string;
}

/** The SHA-256 of scripts, read anew only when a file changed: a worker says them each time it asks for work. */
export class ScriptHashes {
  #known = new Map<string, Known>();
  readonly #read: (path: string) => Promise<string>;

  constructor(read: (path: string) => Promise<string> = sha256Of) {
    this.#read = read;
  }

  /** Answers the hash of each of these scripts in `dir`, as hex. One that cannot be read has none. */
  async of(dir: string, names: readonly string[]): Promise<Record<string, string>> {
    const known = new Map<string, Known>();
    await Promise.all(
      names.map(async (name) => {
        const path = await findScript(dir, name);
        const now = path === null ? null : await this.#look(path, this.#known.get(name)).catch(() => null);
        if (now) known.set(name, now);
      }),
    );
    this.#known = known;
    return Object.fromEntries([...known].map(([name, { hash }]) => [name, hash]));
  }

  async #look(path: string, known: Known | undefined): Promise<Known> {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    const stamp = `${path} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
    return known?.stamp === stamp ? known : { stamp, hash: await this.#read(path) };
  }
}

async function sha256Of(path: string): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const chunk of Bun.file(path).stream()) hasher.update(chunk);
  return hasher.digest("hex");
}
