import type { Use } from "../core/records.ts";

/** How often this process used one value, and when last; times are of the vault's clock. */
export interface Usage {
  count: number;
  /** Of these, how often the other side refused it. */
  refused: number;
  /** Of these, how often what it was sent with was judged to be done. */
  taken: number;
  lastAt: number | null;
  loadedAt: number | null;
}

/** What is known of the uses of every value of one secret. */
export class Usages {
  readonly #byKey = new Map<string, Usage>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The usage of a value, the same object for as long as the process lives. */
  of(keyId: string): Usage {
    const known = this.#byKey.get(keyId);
    if (known) return known;
    const fresh: Usage = { count: 0, refused: 0, taken: 0, lastAt: null, loadedAt: null };
    this.#byKey.set(keyId, fresh);
    return fresh;
  }

  /** Says which values are live now; one that no longer is keeps its count. */
  live(keyIds: readonly string[]): void {
    for (const [keyId, usage] of this.#byKey) {
      if (!keyIds.includes(keyId)) usage.loadedAt = null;
      else usage.loadedAt ??= this.#now();
    }
  }

  /** Writes down every value that is live or was used, with ages for times, and forgets what was not used for `keep_ms`. */
  rows(secret: string, { current, next }: { current?: string | undefined; next?: string | undefined }): Use[] {
    const now = this.#now();
    return [...this.#byKey].flatMap(([key_id, { count, refused, taken, lastAt, loadedAt }]): Use[] => {
      const role = key_id === current ? "current" : key_id === next ? "next" : null;
      if (role === null && (lastAt === null || now - lastAt > keep_ms)) {
        this.#byKey.delete(key_id);
        return [];
      }
      const age = (at: number | null) => (at === null ? null : Math.max(0, Math.round(now - at)));
      const counts = { count, refused, ...(taken > 0 && { taken }) };
      return [{ secret, key_id, role, loaded_ms: age(loadedAt), ...counts, idle_ms: age(lastAt) }];
    });
  }
}

/** How long the uses of a value that is no longer live are remembered. */
const keep_ms = 31 * 86_400_000;
