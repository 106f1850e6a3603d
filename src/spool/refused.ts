import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { frame, type Kept } from "./frame.ts";
import { refusedFolder, segmentsIn } from "./room.ts";
import { pathOf, syncFolder } from "./segment.ts";

/** Records that nobody can take: each a segment of its own, so that a folder of them, moved to stand beside the rooms, is forwarded once more. */
export class Refused {
  readonly #folder: string;
  count = 0;

  constructor(dir: string) {
    this.#folder = join(dir, refusedFolder);
  }

  /** Counts what is there. */
  async look(): Promise<number[]> {
    const numbers = await segmentsIn(this.#folder);
    this.count = numbers.length;
    return numbers;
  }

  async add(kept: Kept): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const next = Math.max(0, ...(await this.look())) + 1;
    await writeFile(pathOf(this.#folder, next), frame(kept), { flag: "wx", mode: 0o600, flush: true });
    await syncFolder(this.#folder);
    this.count++;
  }
}
