import { type FileHandle, open } from "node:fs/promises";
import { log } from "../log.ts";
import type { Held } from "../stores/store.ts";
import { Backoff, fired } from "./clock.ts";
import type { House } from "./house.ts";

const longestChunk = 262_144;
const enoughToHurry = 65_536;
const flushEvery = 200;
const longestPending = 1_048_576;
const longestCall = 15_000;
const nothing = new Uint8Array();

/**
 * The masked log of one attempt: a file in the work folder that is shipped to the store by offset, so that an outage
 * costs disk and neither memory nor the script's time. When the attempt is another's by then, it is shipped all the same.
 */
export class ShippedLog {
  readonly held: Held;
  readonly #house: House;
  readonly #file: FileHandle;
  readonly #room: number;
  readonly #over = new AbortController();
  #taken = 0;
  #size = 0;
  #sent = 0;
  /** What comes after the file; null while there may be more. */
  #last: Uint8Array | null = null;
  #full = false;
  #lost = 0;
  #late = false;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #writing: Promise<void> | undefined;
  #stir = new AbortController();
  #call = new AbortController();
  readonly #shipping: Promise<void>;

  private constructor(house: House, held: Held, file: FileHandle, { room = 0, size = 0 }) {
    this.#house = house;
    this.held = held;
    this.#file = file;
    this.#room = room;
    this.#size = size;
    if (size > 0) [this.#late, this.#last] = [true, nothing];
    this.#shipping = this.#ship();
  }

  /** Begins an empty log at `path` that takes `room` bytes, and ships what is appended. */
  static async open(house: House, held: Held, path: string, room: number): Promise<ShippedLog> {
    return new ShippedLog(house, held, await open(path, "wx+", 0o600), { room });
  }

  /** Goes on shipping the log that an earlier worker left at `path`. */
  static async reopen(house: House, held: Held, path: string): Promise<ShippedLog> {
    const file = await open(path, "r+");
    return new ShippedLog(house, held, file, { size: (await file.stat()).size });
  }

  /** Bytes that the store does not have. */
  get missing(): number {
    return this.#size + (this.#last?.length ?? 0) - this.#sent;
  }

  /** Bytes in the file. */
  get size(): number {
    return this.#size;
  }

  /** True when the disk refused a write: nothing more goes into the file. */
  get full(): boolean {
    return this.#full;
  }

  /** Bytes that were taken and that the disk refused. */
  get lost(): number {
    return this.#lost;
  }

  /** Appends, and answers what there was no room for, cut at a line's end; resolves when more may come. */
  async append(bytes: Uint8Array): Promise<Uint8Array> {
    const fits = Math.min(bytes.length, this.#room - this.#taken);
    const kept = fits === bytes.length ? bytes : bytes.subarray(0, bytes.subarray(0, fits).lastIndexOf(10) + 1);
    this.#taken = fits === bytes.length ? this.#taken + fits : this.#room;
    if (kept.length > 0) {
      this.#pending.push(kept);
      this.#pendingBytes += kept.length;
      this.#writing ??= this.#write();
      if (this.#pendingBytes > longestPending) await this.#writing;
    }
    return bytes.subarray(kept.length);
  }

  /** Resolves when what was appended is in the file, or refused. */
  async written(): Promise<void> {
    await this.#writing;
  }

  /** Says that nothing more comes but these last bytes, which stay in memory. */
  end(last: Uint8Array = nothing): void {
    this.#last ??= last;
    this.#wake();
  }

  /** Waits until everything is shipped or refused, for at most `ms` or until the signal fires; answers the bytes that the store does not have. */
  async shipped(ms: number, hurry?: AbortSignal): Promise<number> {
    const limit = new AbortController();
    const enough = AbortSignal.any(hurry ? [limit.signal, hurry] : [limit.signal]);
    await Promise.race([this.#shipping, this.#house.clock.sleep(ms, enough)]);
    limit.abort();
    return this.missing;
  }

  /** Ships no more. What the store does not have is in the file, as far as the disk takes it. */
  async close(): Promise<void> {
    this.end();
    this.#end();
    await this.#writing;
    await this.#shipping;
    if (this.#last && this.missing > 0) await this.#put(this.#last).catch(() => undefined);
    await this.#file.close();
  }

  async #write(): Promise<void> {
    while (this.#pending.length > 0) {
      const bytes = Buffer.concat(this.#pending);
      this.#pending = [];
      this.#pendingBytes = 0;
      const before = this.#size;
      try {
        if (!this.#full) await this.#put(bytes);
      } catch (cause) {
        this.#full = true;
        log.error("log cut short", { ...this.held, cause });
      }
      this.#lost += bytes.length - (this.#size - before);
    }
    this.#writing = undefined;
  }

  /** Writes at the end of the file; a disk that is nearly full takes a part. */
  async #put(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length;) {
      const { bytesWritten } = await this.#file.write(bytes, from, bytes.length - from, this.#size);
      from += bytesWritten;
      this.#size += bytesWritten;
      this.#wake();
    }
  }

  #end(): void {
    this.#over.abort();
    this.#call.abort();
    this.#wake();
  }

  #wake(): void {
    const stirred = this.#stir;
    this.#stir = new AbortController();
    stirred.abort();
  }

  async #ship(): Promise<void> {
    const { clock, chance } = this.#house;
    // After an outage the log is taken only until the lease is over.
    const backoff = new Backoff(2000);
    let last = -Infinity;
    while (!this.#over.signal.aborted) {
      if (this.missing <= 0) {
        if (this.#last) return;
        await fired(this.#stir.signal);
        continue;
      }
      const early = last + flushEvery - clock.monotonic();
      if (!this.#last && this.missing < enoughToHurry && early > 0) {
        await clock.sleep(early, this.#stir.signal);
        continue;
      }
      last = clock.monotonic();
      const next = await this.#send();
      if (next === "stale") {
        if (this.#late) return;
        this.#late = true;
        continue;
      }
      const progress = next !== null && next > this.#sent;
      if (next !== null) this.#sent = Math.min(next, this.#sent + this.missing);
      if (progress) backoff.reset();
      else await clock.sleep(backoff.next(chance()), this.#over.signal);
    }
  }

  /** Sends the next chunk; null when the store was not reached. */
  async #send(): Promise<number | "stale" | null> {
    const { store, node, clock } = this.#house;
    const offset = this.#sent;
    const call = (this.#call = new AbortController());
    const overdue = clock.sleep(longestCall, call.signal).then(() => null);
    try {
      const chunk = { ...this.held, node: node.id, offset, bytes: await this.#read(offset) };
      return await Promise.race([store.log(this.#late ? { ...chunk, late: true } : chunk), overdue]);
    } catch (cause) {
      log.debug("log chunk not stored", { ...this.held, cause });
      return null;
    } finally {
      call.abort();
    }
  }

  async #read(from: number): Promise<Uint8Array> {
    if (from >= this.#size) return (this.#last ?? nothing).subarray(from - this.#size).subarray(0, longestChunk);
    const buffer = new Uint8Array(Math.min(longestChunk, this.#size - from));
    const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, from);
    return buffer.subarray(0, bytesRead);
  }
}
