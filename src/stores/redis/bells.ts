import type { Wait } from "../store.ts";
import type { Client } from "./clients.ts";

/** `work` may be leased, `stop` may concern a held run, `posts` may be expanded or sent. */
export type Bell = "work" | "stop" | "posts";

const block_ms = 5000;
const bellRest_ms = 10;
const brokenRest_ms = 500;

/**
 * What rings in Redis, heard in this process. One blocking connection, opened by the first who waits, reads the last stroke of
 * every bell that somebody here has ever waited for: an idle process costs one XREAD per 5 s.
 */
export class Bells {
  readonly #prefix: string;
  readonly #open: () => Client;
  readonly #strokes: Record<Bell, number> = { work: 0, stop: 0, posts: 0 };
  /** The id of the last stroke read; from 0 on, so that the first read tells where we are and none is missed after it. */
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
    this.#listenFor(bell);
    return this.#strokes[bell];
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
    this.#tell();
  }

  #listenFor(bell: Bell): void {
    if (this.closed || this.#read.has(bell)) return;
    this.#read.set(bell, "0-0");
    if (this.#client)
      this.#client.disconnect(true); // the read that blocks does not know this bell
    else void this.#listen((this.#client = this.#open()));
  }

  async #listen(client: Client): Promise<void> {
    while (!this.closed) {
      const bells = [...this.#read.keys()];
      const keys = bells.map((bell) => `${this.#prefix}bell:${bell}`);
      try {
        const rung = await client.xread("BLOCK", block_ms, "STREAMS", ...keys, ...this.#read.values());
        for (const [key, entries] of rung ?? []) this.#hear(bells[keys.indexOf(key)], entries.at(-1)?.[0]);
        // In a busy pool one stroke stands for all of the next 10 ms.
        if (rung) await rest(bellRest_ms);
      } catch {
        // Whoever waits asks again, and learns what the matter is.
        for (const bell of bells) this.#strokes[bell]++;
        this.#tell();
        if (!this.closed) await rest(brokenRest_ms);
      }
    }
  }

  #hear(bell: Bell | undefined, id: string | undefined): void {
    if (!bell || !id) return;
    this.#read.set(bell, id);
    this.#strokes[bell]++;
    this.#tell();
  }

  #tell(): void {
    for (const look of this.#waiting) look();
  }
}

const rest = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));
