import { canaryHeader } from "../core/canary.ts";
import { MeshError } from "../core/error.ts";
import { type Report, subjectOf } from "../core/records.ts";
import type { Accepted, Entry } from "../stores/store.ts";
import type { Stored } from "./intake.ts";

/** Says whether a request asks to be a canary; it has still to prove where it comes from. */
export const isCanary = (headers: Headers): boolean => headers.get(canaryHeader) === "1";

export interface CanaryOptions {
  /** Whether the store could take a task now. */
  writable: () => Promise<boolean>;
  /** Whether the spool could, where the store cannot. */
  spools: () => Promise<boolean>;
  /** Epoch milliseconds. */
  now: () => number;
}

const lifetime = 60_000;
const most = 1000;

/**
 * Says of canaries what the intake would say, and keeps nothing but their marks: 60 s, in memory, under `p/`, apart from those
 * of real deliveries. No mark of a canary makes a real delivery a duplicate, nor the other way round.
 */
export class Canaries {
  readonly #options: CanaryOptions;
  readonly #marks = new Map<string, { run_id: string; until: number }>();

  constructor(options: CanaryOptions) {
    this.#options = options;
  }

  /** Throws `unavailable` where neither store nor spool could take a task. */
  async accept({ task, marks }: Pick<Entry, "task" | "marks">): Promise<Accepted | Stored> {
    if (!(await this.#straight())) return { status: "stored" };
    const known = this.#mark(
      marks.map(({ key }) => key),
      task.run_id,
    );
    return known === null ? { status: "queued", run_id: task.run_id } : { status: "duplicate", run_id: known };
  }

  /** Ends nothing: no canary is queued. */
  async withdraw(): Promise<string[] | Stored> {
    return (await this.#straight()) ? [] : { status: "stored" };
  }

  /** Throws as `accept` does. */
  async report(report: Report): Promise<"new" | "seen" | "stored"> {
    if (!(await this.#straight())) return "stored";
    return this.#mark([`r/${subjectOf(report)}/${report.state}`], "") === null ? "new" : "seen";
  }

  async #straight(): Promise<boolean> {
    if (await this.#options.writable()) return true;
    if (await this.#options.spools()) return false;
    throw new MeshError("unavailable", "neither the store nor the spool could take a delivery");
  }

  /** The run that the first known of these marks belongs to; else null, and from now on they belong to this one. */
  #mark(keys: string[], run_id: string): string | null {
    const now = this.#options.now();
    for (const key of keys) {
      const known = this.#marks.get(`p/${key}`);
      if (known && known.until > now) return known.run_id;
    }
    for (const key of keys) {
      this.#marks.delete(`p/${key}`);
      this.#marks.set(`p/${key}`, { run_id, until: now + lifetime });
    }
    this.#forget(now);
    return null;
  }

  /** The map's order is by first sight: the oldest lie in front. */
  #forget(now: number): void {
    for (const [key, { until }] of this.#marks) {
      if (until > now && this.#marks.size <= most) return;
      this.#marks.delete(key);
    }
  }
}
