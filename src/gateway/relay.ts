import type { Socket, SocketHandler } from "bun";

// A client that reads nothing, or does not hang up although we have, keeps two sockets: for no longer than this.
const patienceSeconds = 12;

/** One of the two sockets of a relay, and what is still to be written to it. */
export class End {
  #socket: Socket<End> | null = null;
  #other: End | null = null;
  readonly #waiting: Uint8Array[] = [];
  readonly #over: () => void;
  /** It has said that nothing more comes from it. */
  #heard = false;
  /** The other one has said so: after what waits, nothing more goes to it. */
  #told = false;
  #isClosed = false;

  /** `over` is called once, when the socket is closed for good. */
  constructor(over: () => void) {
    this.#over = over;
  }

  /** Makes what is read from either be written to the other, no faster than that takes it. */
  join(other: End): void {
    this.#other = other;
    if (other.#other !== this) other.join(this);
  }

  /** Takes its socket, and writes what came before there was one. */
  opened(socket: Socket<End>): void {
    this.#socket = socket;
    if (this.#isClosed) socket.terminate();
    else this.drained();
  }

  /** Passes on what was read here; it reads no further while the other end is behind. */
  read(bytes: Uint8Array): void {
    if (this.#other?.take(bytes) === false) this.#socket?.pause();
  }

  /** Writes what was kept, then lets the other end read on. */
  drained(): void {
    const before = this.#waiting.length;
    for (let [bytes] = this.#waiting; bytes; [bytes] = this.#waiting) {
      const written = this.#write(bytes);
      if (written > 0) this.#socket?.timeout(patienceSeconds);
      if (written < bytes.length) {
        this.#waiting[0] = bytes.subarray(written);
        return;
      }
      this.#waiting.shift();
    }
    if (this.#told) return this.#sayLast();
    if (before === 0) return;
    this.#socket?.timeout(0);
    this.#other?.readOn();
  }

  /** Nothing more comes from it: the other end hears that after everything that was said before. */
  ended(): void {
    this.#heard = true;
    this.#other?.finish();
    this.#leave();
  }

  /** It is closed for good: the other end gets what it is owed, and is let go. */
  closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#waiting.length = 0;
    this.#other?.finish();
    // What it sends from now on is for nobody; reading it is how its end is seen.
    this.#other?.readOn();
    this.#over();
  }

  /** Closes at once, whatever is under way. */
  cut(): void {
    this.#socket?.terminate();
    this.closed();
  }

  /** Writes, or keeps what does not fit; false where whoever sends has to wait. */
  take(bytes: Uint8Array): boolean {
    if (this.#isClosed || this.#told) return true;
    const written = this.#waiting.length === 0 ? this.#write(bytes) : 0;
    if (written === bytes.length) return true;
    this.#waiting.push(bytes.subarray(written));
    this.#socket?.timeout(patienceSeconds);
    return false;
  }

  /** Reads again, the other end being no longer behind. */
  readOn(): void {
    this.#socket?.resume();
  }

  /** Hears that the other end says no more: it is hung up on once it has everything. */
  finish(): void {
    if (this.#told) return;
    this.#told = true;
    if (this.#waiting.length === 0) this.#sayLast();
  }

  #write(bytes: Uint8Array): number {
    return Math.max(0, this.#socket?.write(bytes) ?? 0);
  }

  #sayLast(): void {
    this.#socket?.shutdown();
    this.#socket?.timeout(patienceSeconds);
    this.#leave();
  }

  /** Both have said that nothing more comes, and everything is written. */
  #leave(): void {
    if (this.#heard && this.#told && this.#waiting.length === 0) this.#socket?.end();
  }
}

/** What a socket of a relay does once it is open. */
export const relaying: SocketHandler<End> = {
  open: (socket) => socket.data.opened(socket),
  data: (socket, bytes) => socket.data.read(bytes),
  drain: (socket) => socket.data.drained(),
  end: (socket) => socket.data.ended(),
  close: (socket) => socket.data.closed(),
  timeout: (socket) => socket.data.cut(),
  // The close that follows says enough: that a client hangs up is nobody's fault.
  error: () => {},
};
