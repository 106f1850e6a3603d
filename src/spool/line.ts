import type { Segment } from "./segment.ts";

/** Where a record stands. */
export interface Place {
  segment: Segment;
  offset: number;
  length: number;
  /** When it was first seen, epoch ms. */
  at: number;
}

/** Says whether `a` was written before `b`. */
export const isBefore = (a: Position, b: Position): boolean =>
  a.segment.number < b.segment.number || (a.segment.number === b.segment.number && a.offset < b.offset);

interface Position {
  segment: { number: number };
  offset: number;
}

/** The places of one line's records, oldest first. */
export class Line {
  #places: Place[] = [];
  #head = 0;

  get length(): number {
    return this.#places.length - this.#head;
  }

  /** The n-th place from the front, from 0. */
  nth(n: number): Place | undefined {
    return this.#places[this.#head + n];
  }

  push(place: Place): void {
    this.#places.push(place);
  }

  shift(): Place | undefined {
    const place = this.#places[this.#head];
    if (place) this.#head++;
    // Moving the rest up at every turn would make a long line slow.
    if (this.#head >= 1024 && this.#head * 2 >= this.#places.length) {
      this.#places = this.#places.slice(this.#head);
      this.#head = 0;
    }
    return place;
  }
}
