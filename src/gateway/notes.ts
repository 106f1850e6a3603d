import { MeshError } from "../core/error.ts";
import type { DeliveryNote } from "../core/records.ts";
import { log } from "../log.ts";
import type { Store } from "../stores/store.ts";

const mostWaiting = 10_000;
const tryAgainAfter = 2000;

/** Keeps what became of deliveries until the store has it: in batches, after the answers went out, through an outage of the store, never more than 10,000. */
export class Notes {
  readonly #store: Pick<Store, "note">;
  readonly #everyMs: number;
  #waiting: DeliveryNote[] = [];
  #lost = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #outage = false;
  #closed = false;

  constructor(store: Pick<Store, "note">, everyMs = 250) {
    this.#store = store;
    this.#everyMs = everyMs;
  }

  add(note: DeliveryNote): void {
    if (this.#waiting.length >= mostWaiting) this.#lost++;
    else this.#waiting.push(note);
    this.#soon();
  }

  /** Writes what is waiting a last time; what the store does not take now is lost. Never throws. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
  }

  /** Writes what is waiting, one batch at a time; a batch that the store cannot take now waits, one that it refuses is logged and dropped. Never throws. */
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
      this.#outage = false;
    } catch (error) {
      const isOutage = error instanceof MeshError && error.kind === "unavailable";
      if (isOutage && !this.#closed) this.#keep(batch, error);
      else log.warn("delivery notes lost", { count: batch.length, why: error });
    }
  }

  #keep(batch: DeliveryNote[], why: MeshError): void {
    if (!this.#outage) log.warn("delivery notes delayed", { count: batch.length, why });
    this.#outage = true;
    const all = [...batch, ...this.#waiting];
    this.#lost += Math.max(0, all.length - mostWaiting);
    this.#waiting = all.slice(0, mostWaiting);
    this.#soon();
  }

  #soon(): void {
    if (this.#closed) return;
    this.#timer ??= setTimeout(() => void this.flush(), this.#outage ? tryAgainAfter : this.#everyMs);
  }
}
