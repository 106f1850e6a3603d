import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isBefore, type Place } from "./line.ts";

type Mark = [segment: number, offset: number];

/**
 * How far each line was forwarded. A mark that is lost costs a repeat, which the store takes as one: so it is renamed into
 * place, whole after kill -9, and not synced.
 */
export class Marks {
  readonly #path: string;
  readonly #marks = new Map<string, Mark>();

  constructor(folder: string) {
    this.#path = join(folder, "forwarded.json");
  }

  async load(): Promise<void> {
    const said: unknown = await readFile(this.#path, "utf8")
      .then(JSON.parse)
      .catch(() => ({}));
    if (typeof said !== "object" || said === null) return;
    for (const [line, mark] of Object.entries(said)) if (isMark(mark)) this.#marks.set(line, mark);
  }

  /** The highest segment that a mark names: a number must never come again, or its mark would cover what it does not mean. */
  get highest(): number {
    return Math.max(0, ...[...this.#marks.values()].map(([segment]) => segment));
  }

  /** Says whether the record at this place was forwarded. */
  covers(line: string, place: Pick<Place, "segment" | "offset">): boolean {
    const mark = this.#marks.get(line);
    return mark !== undefined && !isBefore({ segment: { number: mark[0] }, offset: mark[1] }, place);
  }

  move(line: string, { segment, offset }: Pick<Place, "segment" | "offset">): void {
    this.#marks.set(line, [segment.number, offset]);
  }

  async save(): Promise<void> {
    const draft = `${this.#path}.draft`;
    await writeFile(draft, JSON.stringify(Object.fromEntries(this.#marks)), { mode: 0o600 });
    await rename(draft, this.#path);
  }
}

const isMark = (mark: unknown): mark is Mark =>
  Array.isArray(mark) && mark.length === 2 && mark.every((number) => Number.isSafeInteger(number));
