import type { DeliveryNote } from "../core/records.ts";
import { log } from "../log.ts";
import type { Store } from "../stores/store.ts";

const mostWaiting = 10_000;

/** Keeps what became of deliveries until the store has it: in batches, after the answers went out, never more than 10,000. */
export class Notes {
  readonly #store: Pick<Store, "note">;
  readonly #everyMs: number;
  #waiting: DeliveryNote[] = [];
  #lost = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;

  constructor(store: Pick<Store, "note">, everyMs = 250) {
    this.#store = store;
    this.#everyMs = everyMs;
  }

  add(note: DeliveryNote): void {
    if (this.#waiting.length >= mostWaiting) this.#lost++;
    else this.#waiting.push(note);
    this.#timer ??= setTimeout(() => void this.flush(), this.#everyMs);
  }

  /** Writes what is waiting, one batch at a time; a batch that the store refuses is logged and dropped. Never throws. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // While the store is slow the next batch collects here, so what waits stays bounded.
    if (this.#writing) await this.#writing;
    if (this.#writing || this.#waiting.length + this.#lost === 0) return this.#writing;
    this.#writing = this.#write();
    await this.#writing;
    this.#writing = undefined;
  }

  async #write(): Promise<void> {
    const batch = this.#waiting;
    const lost = this.#lost;
    [this.#waiting, this.#lost] = [[], 0];
    if (lost > 0) log.warn("delivery notes lost", { count: lost, why: "too many at once" });
    try {
      if (batch.length > 0) await this.#store.note(batch);
    } catch (error) {
      log.warn("delivery notes lost", { count: batch.length, why: error });
    }
  }
}
