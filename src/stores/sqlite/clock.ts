/**
 * The time of a store: epoch milliseconds that follow the wall clock, but only when they are told to. Between two looks a clock
 * that is set moves nothing, so what one step reads twice fits together.
 */
export class StoreClock {
  readonly #wall: () => number;
  readonly #monotonic: () => number;
  #apart: number;

  /** `monotonic` gives milliseconds that no setting of a clock moves. */
  constructor(wall: () => number, monotonic: () => number) {
    this.#wall = wall;
    this.#monotonic = monotonic;
    this.#apart = wall() - monotonic();
  }

  now(): number {
    return Math.floor(this.#monotonic() + this.#apart);
  }

  /** Follows the wall clock; answers by how many milliseconds it leapt, or the machine slept, since it was last followed. */
  follow(): number {
    const leap = this.#wall() - this.#monotonic() - this.#apart;
    this.#apart += leap;
    return leap;
  }
}
