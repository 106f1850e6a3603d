import { keyIdOf, readText, sha256 } from "./copy.ts";
import { stampOf } from "./file.ts";
import { ledgerOf, readLedger, type Retired, retiredFor } from "./ledger.ts";

const lookAgainAfter = 1000;

/** What is known of the values that one secret once had. Nothing of it is accepted. */
export class Past {
  readonly #path: string;
  readonly #top: string;
  readonly #now: () => number;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #stamp: string | null = null;
  #retired: Retired[] = [];

  constructor(path: string, top: string, now: () => number) {
    this.#path = path;
    this.#top = top;
    this.#now = now;
  }

  /** Says what a retired value was and what became of it; `at` is epoch milliseconds. Only those who once had the value learn how long that took. */
  retired(name: string, presented: string, at: number): string | null {
    const digest = sha256(presented).toString("hex");
    const found = this.#known().find((one) => one.digest === digest && at - one.at < retiredFor);
    if (!found) return null;
    return `retired token of ${name}, key id ${found.key_id}, ${found.how} ${new Date(found.at).toISOString()}`;
  }

  /** The value before the last change while it is kept, or only where it has this key id. */
  prev(keyId?: string): string | null {
    try {
      const text = readText(`${this.#path}.prev`, this.#top, "any");
      return keyId === undefined || keyIdOf(sha256(text)) === keyId ? text : null;
    } catch {
      return null;
    }
  }

  #known(): Retired[] {
    if (this.#now() - this.#lookedAt < lookAgainAfter) return this.#retired;
    this.#lookedAt = this.#now();
    const stamp = stampOf(ledgerOf(this.#path));
    if (stamp === this.#stamp) return this.#retired;
    this.#stamp = stamp;
    try {
      this.#retired = readLedger(this.#path).retired;
    } catch {
      this.#retired = []; // `meshmac rotate status` says what is wrong with it; here it only explains a refusal
    }
    return this.#retired;
  }
}
