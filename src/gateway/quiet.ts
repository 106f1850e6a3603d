const quietMs = 1000;
const mostClients = 10_000;

/** Lets one line per client and second through and counts what it held back, so that a stranger cannot fill the log. */
export class Quiet {
  readonly #said = new Map<string, { at: number; held: number }>();
  readonly #now: () => number;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Answers how many lines of this client were held back since its last one, or null when this one is to be held back too. */
  ask(client: string): number | null {
    const now = this.#now();
    const said = this.#said.get(client);
    if (said && now - said.at < quietMs) {
      said.held++;
      return null;
    }
    this.#said.delete(client);
    this.#said.set(client, { at: now, held: 0 });
    if (this.#said.size > mostClients) {
      for (const oldest of this.#said.keys()) {
        this.#said.delete(oldest);
        break;
      }
    }
    return said?.held ?? 0;
  }
}
