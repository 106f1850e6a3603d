interface Waiting {
  until: number;
  /** Undefined once it was answered. */
  expire: (() => void) | undefined;
}

/** Gives many promises the same time, with one timer among them: a timer each would cost every delivery more than its JSON. */
export class Deadline {
  readonly #ms: number;
  #line: Waiting[] = [];
  #head = 0;
  #timer: Timer | undefined;

  /** `ms` milliseconds for each. */
  constructor(ms: number) {
    this.#ms = ms;
  }

  /** Settles as `promise` does, or rejects with `late()` where that takes too long. */
  within<T>(promise: Promise<T>, late: () => Error): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const waiting: Waiting = { until: performance.now() + this.#ms, expire: () => reject(late()) };
      this.#line.push(waiting);
      this.#arm();
      promise.then(
        (value) => {
          this.#answered(waiting);
          resolve(value);
        },
        (error: unknown) => {
          this.#answered(waiting);
          reject(error instanceof Error ? error : new Error(String(error)));
        },
      );
    });
  }

  /** Rejects all that still wait, in the order in which they came. */
  expireAll(): void {
    for (const waiting of this.#line.slice(this.#head)) {
      waiting.expire?.();
      waiting.expire = undefined;
    }
    this.#forget();
  }

  #answered(waiting: Waiting): void {
    waiting.expire = undefined;
    this.#forget();
  }

  /** Drops those at the head that were answered; nearly all are, in the order they came. */
  #forget(): void {
    while (this.#head < this.#line.length && !this.#line[this.#head]?.expire) this.#head++;
    if (this.#head < this.#line.length && this.#head < 1024) return;
    this.#line = this.#line.slice(this.#head);
    this.#head = 0;
    if (this.#line.length > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(): void {
    const first = this.#line[this.#head];
    if (!first || this.#timer) return;
    this.#timer = setTimeout(() => this.#expire(), Math.max(1, first.until - performance.now()));
  }

  #expire(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (let i = this.#head; i < this.#line.length; i++) {
      const waiting = this.#line[i];
      if (!waiting || waiting.until > now) break;
      waiting.expire?.();
      waiting.expire = undefined;
    }
    this.#forget();
    this.#arm();
  }
}
