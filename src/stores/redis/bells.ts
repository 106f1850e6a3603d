import type { Wait } from "../store.ts";
import type { Client } from "./clients.ts";

/** `work` may be leased, `stop` may concern a held run, `events` may be expanded, `posts` may be sent, `logs` are to be drained. */
export type Bell = "work" | "stop" | "events" | "posts" | "logs";

const block_ms = 5000;
const brokenRest_ms = 500;

/** In a busy pool the bells ring without end: after so many strokes in one second the reader rests between two reads. */
const crowd = 200;
const crowdRest_ms = 10;

/**
 * What rings in Redis, heard in this process. One blocking connection, opened by the first who waits, reads the last stroke of
 * every bell that somebody here waits for: an idle process costs one XREAD per 5 s.
 */
export class Bells {
  readonly #prefix: string;
  readonly #open: () => Client;
  readonly #strokes: Record<Bell, number> = { work: 0, stop: 0, events: 0, posts: 0, logs: 0 };
  /** The last stroke read of every bell that is listened to; from 0 on, so that none is missed; some 200 lie there at most. */
  readonly #read = new Map<Bell, string>();
  readonly #waiting = new Set<() => void>();
  #client: Client | null = null;
  closed = false;

  constructor(prefix: string, open: () => Client) {
    this.#prefix = prefix;
    this.#open = open;
  }

  /** How often the bell rang so far; taken before asking Redis, so that a stroke in between ends the wait at once. */
  strokes(bell: Bell): number {
    if (!this.closed && !this.#read.has(bell)) {
      this.#read.set(bell, "0-0");
      this.#client?.disconnect(); // its blocked read does not know this bell
      void this.#listen((this.#client = this.#open()));
    }
    return this.#strokes[bell];
  }

  /** Rings in this process alone. */
  ring(...rung: Bell[]): void {
    for (const bell of rung) this.#strokes[bell]++;
    for (const look of this.#waiting) look();
  }

  /** Resolves when the bell has rung more often than `heard`, when the time is up, or when the signal fires. */
  after(bell: Bell, heard: number, { ms, signal }: Wait): Promise<void> {
    const over = () => this.closed || this.#strokes[bell] !== heard;
    if (over() || signal?.aborted || ms <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const look = () => {
        if (over()) end();
      };
      const end = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", end);
        this.#waiting.delete(look);
        resolve();
      };
      const timer = setTimeout(end, ms);
      signal?.addEventListener("abort", end);
      this.#waiting.add(look);
    });
  }

  /** Ends every wait and the blocked read at once. */
  close(): void {
    this.closed = true;
    this.#client?.disconnect();
    this.ring();
  }

  async #listen(client: Client): Promise<void> {
    const bells = [...this.#read.keys()];
    const keys = bells.map((bell) => `${this.#prefix}bell:${bell}`);
    const isCrowded = counter();
    while (client === this.#client && !this.closed) {
      try {
        const read = await client.xread("BLOCK", block_ms, "STREAMS", ...keys, ...this.#read.values());
        for (const [key, entries] of read ?? []) this.#hear(bells[keys.indexOf(key)], entries.at(-1)?.[0]);
        if (read && isCrowded()) await rest(crowdRest_ms);
      } catch {
        if (client !== this.#client) return;
        this.ring(...bells); // whoever waits asks again, and learns what the matter is
        await rest(brokenRest_ms);
      }
    }
  }

  #hear(bell: Bell | undefined, id: string | undefined): void {
    if (!bell || !id) return;
    this.#read.set(bell, id);
    this.ring(bell);
  }
}

/** Counts its calls per second; true beyond `crowd`. */
function counter(): () => boolean {
  let second = 0;
  let count = 0;
  return () => {
    const now = Math.floor(performance.now() / 1000);
    if (now !== second) count = 0;
    second = now;
    return ++count > crowd;
  };
}

const rest = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));
