/** The last bytes of an output, as many as fit; what they push out is handed to `drop`, oldest first. */
export class Tail {
  readonly #ring: Uint8Array;
  readonly #drop: (bytes: Uint8Array) => void;
  /** Where the next byte goes. */
  #at = 0;
  #length = 0;
  #dropped = 0;

  constructor(size: number, drop: (bytes: Uint8Array) => void) {
    this.#ring = new Uint8Array(size);
    this.#drop = drop;
  }

  /** How many bytes were pushed out. */
  get dropped(): number {
    return this.#dropped;
  }

  push(bytes: Uint8Array): void {
    // Never more at once than the ring holds: what it drops and what comes in do not overlap.
    for (let from = 0; from < bytes.length; from += this.#ring.length)
      this.#take(bytes.subarray(from, from + this.#ring.length));
  }

  /** What is left, oldest first; it is gone from here. */
  take(): Uint8Array[] {
    const start = this.#length < this.#ring.length ? 0 : this.#at;
    const parts = [this.#ring.subarray(start, this.#length), this.#ring.subarray(0, start)];
    this.#length = 0;
    return parts.filter(({ length }) => length > 0);
  }

  #take(bytes: Uint8Array): void {
    const first = bytes.subarray(0, this.#ring.length - this.#at);
    this.#put(first);
    if (first.length < bytes.length) this.#put(bytes.subarray(first.length));
  }

  /** Puts bytes where they fit in one piece. */
  #put(bytes: Uint8Array): void {
    const end = this.#at + bytes.length;
    const old = Math.min(this.#length, end) - this.#at;
    if (old > 0) {
      this.#dropped += old;
      this.#drop(this.#ring.subarray(this.#at, this.#at + old));
    }
    this.#ring.set(bytes, this.#at);
    this.#length = Math.max(this.#length, end);
    this.#at = end % this.#ring.length;
  }
}
