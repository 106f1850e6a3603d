import type { MeshError } from "../core/error.ts";
import type { Kept } from "./frame.ts";

/** A record on its way to the disk. */
export interface Pending {
  kept: Kept;
  bytes: Buffer;
  resolve: () => void;
  reject: (fault: MeshError) => void;
}

// So many bytes are written and synced together at most.
const largestBatch = 1024 * 1024;

/** The records that wait for the disk. Those that come while it is busy are written together: they share one sync. */
export class Waiting {
  #pending: Pending[] = [];
  readonly #perLine = new Map<string, number>();
  bytes = 0;

  get length(): number {
    return this.#pending.length;
  }

  of(line: string): number {
    return this.#perLine.get(line) ?? 0;
  }

  lines(): IterableIterator<string> {
    return this.#perLine.keys();
  }

  /** Lines a record up, framed as `bytes`; resolves when it is on disk. */
  add(kept: Kept, bytes: Buffer): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#pending.push({ kept, bytes, resolve, reject });
    this.#perLine.set(kept.line, this.of(kept.line) + 1);
    this.bytes += bytes.length;
    return promise;
  }

  /** The next batch, in the order in which its records were first seen; they wait until they are `settled`. */
  next(): Pending[] {
    let bytes = 0;
    let count = 0;
    for (const pending of this.#pending) {
      bytes += pending.bytes.length;
      if (count > 0 && bytes > largestBatch) break;
      count++;
    }
    return this.#pending.splice(0, count).toSorted((a, b) => a.kept.at - b.kept.at);
  }

  settled(batch: Pending[]): void {
    for (const { kept, bytes } of batch) {
      this.bytes -= bytes.length;
      const left = this.of(kept.line) - 1;
      if (left > 0) this.#perLine.set(kept.line, left);
      else this.#perLine.delete(kept.line);
    }
  }
}
