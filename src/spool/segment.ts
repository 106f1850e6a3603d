import { constants, type FileHandle, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Found, scan, unframe } from "./frame.ts";

const namePattern = /^(\d{12})\.line$/;

/** The number in a segment's file name, or null where the file is none. */
export const numberIn = (name: string): number | null => {
  const [, digits] = namePattern.exec(name) ?? [];
  return digits === undefined ? null : Number(digits);
};

/** One append-only file of the spool. It is written by the process that made it, and by no later one: a torn end stays an end. */
export class Segment {
  readonly number: number;
  readonly path: string;
  /** Bytes of whole batches; what stands behind them is not part of it. */
  size = 0;
  /** Records that are still to be forwarded. */
  left = 0;
  #writer: FileHandle | undefined;

  constructor(folder: string, number: number) {
    this.number = number;
    this.path = pathOf(folder, number);
  }

  /** Makes the file, for its owner's eyes only, and its name durable. */
  static async create(folder: string, number: number): Promise<Segment> {
    const segment = new Segment(folder, number);
    segment.#writer = await open(segment.path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      await syncFolder(folder);
    } catch (fault) {
      await segment.remove();
      throw fault;
    }
    return segment;
  }

  /** Reads what a process that is gone has written. */
  async load(): Promise<{ found: Found[]; damaged: number }> {
    const bytes = await readFile(this.path);
    this.size = bytes.length;
    return scan(bytes);
  }

  /** Appends a batch and resolves when the disk has it. After a failure the segment must not be written again: `seal` it. */
  async append(bytes: Buffer): Promise<void> {
    if (!this.#writer) throw new TypeError("not a segment of this process");
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await this.#writer.write(bytes, done, bytes.length - done, this.size + done);
      if (bytesWritten === 0) throw new Error("the disk took nothing");
      done += bytesWritten;
    }
    await this.#writer.datasync();
    this.size += bytes.length;
  }

  /** Ends writing. What a failed append left behind its last whole batch is cut off, where the disk lets us. */
  async seal(): Promise<void> {
    const writer = this.#writer;
    this.#writer = undefined;
    await writer?.truncate(this.size).catch(() => {});
    await writer?.close().catch(() => {});
  }

  /** Reads the texts of records at these places; null for one that is gone, or not what was written. */
  async read(places: { offset: number; length: number }[]): Promise<(string | null)[]> {
    const file = await open(this.path, constants.O_RDONLY).catch((fault: unknown) => {
      if (fault instanceof Error && "code" in fault && fault.code === "ENOENT") return null;
      throw fault;
    });
    if (!file) return places.map(() => null);
    try {
      const texts: (string | null)[] = [];
      for (const { offset, length } of places) {
        const bytes = Buffer.alloc(length);
        const { bytesRead } = await file.read(bytes, 0, length, offset);
        texts.push(unframe(bytes.subarray(0, bytesRead))?.text ?? null);
      }
      return texts;
    } finally {
      await file.close();
    }
  }

  async remove(): Promise<void> {
    await this.seal();
    await rm(this.path, { force: true });
  }
}

/** Where the segment of this number is. */
export const pathOf = (folder: string, number: number): string =>
  join(folder, `${String(number).padStart(12, "0")}.line`);

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const opened = await open(folder, constants.O_RDONLY);
  try {
    await opened.sync();
  } finally {
    await opened.close();
  }
}
