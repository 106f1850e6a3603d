import { type FileHandle, open } from "node:fs/promises";
import { log } from "../log.ts";
import type { Held } from "../stores/store.ts";
import { Backoff, fired } from "./clock.ts";
import type { House } from "./house.ts";

const longestChunk = 65_536;
const flushEvery = 200;
const longestPending = 1_048_576;
const longestCall = 15_000;

/**
 * The masked log of one attempt: a file in the work folder that is shipped to the store by offset, so that an outage
 * costs disk and neither memory nor the script's time.
 */
export class ShippedLog {
  readonly #house: House;
  readonly #held: Held;
  readonly #file: FileHandle;
  readonly #over = new AbortController();
  #size = 0;
  #sent = 0;
  #closed = false;
  #full = false;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #writing: Promise<void> | undefined;
  #stir = new AbortController();
  #call = new AbortController();
  readonly #shipping: Promise<void>;

  private constructor(house: House, held: Held, file: FileHandle) {
    this.#house = house;
    this.#held = held;
    this.#file = file;
    this.#shipping = this.#ship();
  }

  /** Begins an empty log at `path` and ships what is appended. */
  static async open(house: House, held: Held, path: string): Promise<ShippedLog> {
    return new ShippedLog(house, held, await open(path, "wx+", 0o600));
  }

  /** Bytes that the store does not have. */
  get missing(): number {
    return this.#size - this.#sent;
  }

  /** Appends; resolves when there is room for more. What a full disk refuses is left out of the log. */
  async append(bytes: Uint8Array): Promise<void> {
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    this.#writing ??= this.#write();
    if (this.#pendingBytes > longestPending) await this.#writing;
  }

  /** Ships the rest for at most `ms`, or until the signal fires; answers the bytes that the store does not have. */
  async close(ms: number, hurry?: AbortSignal): Promise<number> {
    await this.#writing;
    this.#closed = true;
    this.#wake();
    const limit = new AbortController();
    const enough = AbortSignal.any(hurry ? [limit.signal, hurry] : [limit.signal]);
    await Promise.race([this.#shipping, this.#house.clock.sleep(ms, enough)]);
    limit.abort();
    this.#end();
    await this.#shipping;
    await this.#file.close();
    return this.missing;
  }

  async #write(): Promise<void> {
    while (this.#pending.length > 0) {
      const bytes = Buffer.concat(this.#pending);
      this.#pending = [];
      this.#pendingBytes = 0;
      if (this.#full) continue;
      try {
        await this.#file.write(bytes, 0, bytes.length, this.#size);
        this.#size += bytes.length;
        this.#wake();
      } catch (cause) {
        this.#full = true;
        log.error("log cut short", { ...this.#held, cause });
      }
    }
    this.#writing = undefined;
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
        if (this.#closed) return;
        await fired(this.#stir.signal);
        continue;
      }
      const early = last + flushEvery - clock.monotonic();
      if (!this.#closed && this.missing < longestChunk && early > 0) {
        await clock.sleep(early, this.#stir.signal);
        continue;
      }
      last = clock.monotonic();
      const next = await this.#send();
      if (next === "stale") return this.#end();
      const progress = next !== null && next > this.#sent;
      if (next !== null) this.#sent = Math.min(next, this.#size);
      if (progress) backoff.reset();
      else await clock.sleep(backoff.next(chance()), this.#over.signal);
    }
  }

  /** Sends the next chunk; null when the store was not reached. */
  async #send(): Promise<number | "stale" | null> {
    const { store, node, clock } = this.#house;
    const buffer = new Uint8Array(Math.min(longestChunk, this.missing));
    const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, this.#sent);
    const chunk = { ...this.#held, node: node.id, offset: this.#sent, bytes: buffer.subarray(0, bytesRead) };
    const call = (this.#call = new AbortController());
    const overdue = clock.sleep(longestCall, call.signal).then(() => null);
    try {
      return await Promise.race([store.log(chunk), overdue]);
    } catch (cause) {
      log.debug("log chunk not stored", { ...this.#held, cause });
      return null;
    } finally {
      call.abort();
    }
  }
}
