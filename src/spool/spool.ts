import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MeshError } from "../core/error.ts";
import { systemFault } from "../core/system-fault.ts";
import { log } from "../log.ts";
import { type Pending, Waiting } from "./batch.ts";
import { type Found, frame, type Kept } from "./frame.ts";
import { isBefore, Line, type Place } from "./line.ts";
import { Marks } from "./marks.ts";
import { Refused } from "./refused.ts";
import { adopt, type Room, segmentsIn, type TakeLock, takeRoom } from "./room.ts";
import { Segment } from "./segment.ts";

export interface SpoolOptions {
  /** `<state_dir>/spool`. */
  dir: string;
  /** Bytes that it may take on the disk. */
  limit: number;
  takeLock: TakeLock;
}

/** What a spool holds, for people. */
export type SpoolFacts = {
  /** Records that are still to be forwarded. */
  waiting: number;
  bytes: number;
  /** When the oldest of them was first seen, epoch ms; null where there is none. */
  oldest_at: number | null;
  /** Records that were set aside since somebody last looked after them. */
  refused: number;
  /** Why it takes nothing, or null. */
  fault: string | null;
};

/** One record at the front of its line. */
export interface Next {
  line: string;
  place: Place;
}

const segmentBytes = 1024 * 1024;
const lookAgainAfter = 1000;
// More than a record takes, but for one with parameters of unusual length.
const probeBytes = 64 * 1024;

const full = (): MeshError =>
  new MeshError("unavailable", "the spool is full", {
    hint: "bring the store back, or raise gateway.spool.limit",
  });

const faultOf = (fault: unknown): MeshError =>
  fault instanceof MeshError
    ? fault
    : (systemFault(fault, "the spool's") ??
      new MeshError("unavailable", "the disk of the spool failed", {
        hint: "look at the disk of state_dir",
        cause: fault,
      }));

/**
 * Keeps records on this machine's disk until they are forwarded: lines (queues) in append-only segments, each record synced
 * before its promise resolves. One process owns its room; what another one left is adopted.
 */
export class Spool {
  readonly #options: SpoolOptions;
  readonly #lines = new Map<string, Line>();
  readonly #segments = new Set<Segment>();
  readonly #waiting = new Waiting();
  readonly #refused: Refused;
  #room: Room | undefined;
  #marks: Marks | undefined;
  #active: Segment | null = null;
  #next = 1;
  #opening: Promise<void> | undefined;
  #flushing: Promise<void> | undefined;
  #fault: MeshError | null = null;
  #probedAt = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: SpoolOptions) {
    this.#options = options;
    this.#refused = new Refused(options.dir);
  }

  /** Takes a room and finds what is still to be forwarded. Throws `permission` or `unavailable` where the disk does not let us; `append` tries again. */
  async open(): Promise<void> {
    if (this.#room && !this.#opening) return;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    await this.#opening;
  }

  /** Keeps a record, behind those of its line. Resolves when it is on disk; throws `unavailable` where the spool is full or the disk refuses. */
  async append(kept: Kept): Promise<void> {
    if (this.#closed) throw new MeshError("unavailable", "the spool is closed");
    const bytes = frame(kept);
    if (this.bytes + this.#waiting.bytes + bytes.length > this.#options.limit) throw this.#failed(full());
    const written = this.#waiting.add(kept, bytes);
    this.#alone(() => this.#flush());
    await written;
  }

  /** Records of this line that are not yet forwarded, those on their way to the disk included. */
  waitingIn(line: string): number {
    return (this.#lines.get(line)?.length ?? 0) + this.#waiting.of(line);
  }

  /** The names of the lines that have records, on disk or on their way to it. */
  names(): Set<string> {
    return new Set([...this.#lines.keys(), ...this.#waiting.lines()]);
  }

  /** The oldest records on disk, at most `limit` and in the order they came, of lines that `most` lets through: so many of each. */
  front(limit: number, most: (line: string) => number): Next[] {
    const cursors = [...this.#lines].map(([name, line]) => ({ name, line, at: 0, most: most(name) }));
    const front: Next[] = [];
    while (front.length < limit) {
      let first: { cursor: (typeof cursors)[number]; place: Place } | undefined;
      for (const cursor of cursors) {
        const place = cursor.at < cursor.most ? cursor.line.nth(cursor.at) : undefined;
        if (place && (!first || isBefore(place, first.place))) first = { cursor, place };
      }
      if (!first) break;
      first.cursor.at++;
      front.push({ line: first.cursor.name, place: first.place });
    }
    return front;
  }

  /** Reads the texts of records; null for one that the disk gave back damaged. */
  async read(records: Next[]): Promise<(string | null)[]> {
    const texts = new Map<Next, string | null>();
    for (const [segment, own] of Map.groupBy(records, ({ place }) => place.segment)) {
      const read = await segment.read(own.map(({ place }) => place));
      own.forEach((record, i) => texts.set(record, read[i] ?? null));
    }
    return records.map((record) => texts.get(record) ?? null);
  }

  /** Takes the first record of a line out: the store has it, or it was set aside. `settle` makes that last. */
  forget(name: string): void {
    const line = this.#lines.get(name);
    const place = line?.shift();
    if (!line || !place) return;
    place.segment.left--;
    this.#marks?.move(name, place);
    if (line.length === 0) this.#lines.delete(name);
  }

  /** Sets a record aside that nobody can take, where it blocks no line and is not lost. Throws where the disk does not let us. */
  async setAside(kept: Kept): Promise<void> {
    await this.#refused.add(kept);
  }

  /** Deletes the segments of which nothing is left, and writes down how far the others are. Never throws: what is lost of it is only repeated. */
  async settle(): Promise<void> {
    if (!this.#flushing && this.#active?.left === 0) this.#active = null;
    await this.#sweep();
    if (this.#segments.size > 0) await this.#marks?.save().catch(() => {});
  }

  /** Adopts what gateways that are gone have left beside us; true where there was something. */
  async adopt(): Promise<boolean> {
    if (!this.#room || this.#closed) return false;
    let found = false;
    this.#alone(async () => {
      found = await this.#adopt();
    });
    await this.#flushing;
    return found;
  }

  /** Whether a record could be kept now; after a failure it tries the disk, at most once a second. */
  async takes(): Promise<boolean> {
    if (!this.#fault) return true;
    if (performance.now() - this.#probedAt < lookAgainAfter) return false;
    this.#probedAt = performance.now();
    try {
      await this.#probe();
      this.#well();
    } catch {
      return false;
    }
    return true;
  }

  get bytes(): number {
    let bytes = 0;
    for (const { size } of this.#segments) bytes += size;
    return bytes;
  }

  facts(): SpoolFacts {
    let waiting = this.#waiting.length;
    let oldest: number | null = null;
    for (const line of this.#lines.values()) {
      waiting += line.length;
      const at = line.nth(0)?.at;
      if (at !== undefined) oldest = Math.min(oldest ?? at, at);
    }
    const { bytes } = this;
    const fault = this.#fault?.message ?? null;
    return { waiting, bytes, oldest_at: oldest, refused: this.#refused.count, fault };
  }

  /** Writes what is on its way to the disk and gives the room back; what is kept stays for the next start. */
  async close(): Promise<void> {
    this.#closed = true;
    // What came while something else was under way is written after it.
    while (this.#flushing) await this.#flushing;
    await this.settle();
    await this.#sealActive();
    this.#room?.leave();
    this.#room = undefined;
  }

  async #open(): Promise<void> {
    const { dir, takeLock } = this.#options;
    let room: Room | undefined;
    try {
      room = await takeRoom(dir, takeLock);
      const numbers = await segmentsIn(room.folder);
      this.#marks = new Marks(room.folder);
      await this.#marks.load();
      this.#next = Math.max(this.#marks.highest, ...numbers) + 1;
      await this.#refused.look();
      await this.#load(numbers, room.folder);
      this.#room = room;
      await this.#adopt();
      this.#well();
    } catch (fault) {
      room?.leave();
      throw this.#failed(fault);
    }
  }

  async #adopt(): Promise<boolean> {
    if (!this.#room) return false;
    // What is adopted comes before what is written from now on.
    await this.#sealActive();
    const { dir, takeLock } = this.#options;
    const { adopted, faults } = await adopt(dir, this.#room, this.#next, takeLock);
    for (const why of faults) log.warn("spool of another gateway not adopted", { dir, why });
    if (adopted.length === 0) return false;
    this.#next += adopted.length;
    await this.#load(adopted, this.#room.folder);
    await this.#refused.look();
    return true;
  }

  /** Lines up what stands in these segments and was not forwarded. */
  async #load(numbers: number[], folder: string): Promise<void> {
    for (const number of numbers) {
      const segment = new Segment(folder, number);
      try {
        const { found, damaged } = await segment.load();
        if (damaged > 0) log.warn("spool segment damaged", { file: segment.path, bytes: damaged });
        this.#segments.add(segment);
        for (const record of found) {
          if (!this.#marks?.covers(record.line, { segment, offset: record.offset })) this.#lineUp(segment, record);
        }
      } catch (why) {
        log.error("spool segment not read", { file: segment.path, why });
      }
    }
  }

  #lineUp(segment: Segment, { line: name, at, offset, length }: Found): void {
    const line = this.#lines.get(name) ?? new Line();
    this.#lines.set(name, line);
    line.push({ segment, offset, length, at });
    segment.left++;
  }

  /** Starts what must have the segments to itself, unless such work is under way; what came meanwhile is written after it. */
  #alone(work: () => Promise<void>): void {
    this.#flushing ??= work().finally(() => {
      this.#flushing = undefined;
      if (this.#waiting.length > 0) this.#alone(() => this.#flush());
    });
  }

  async #flush(): Promise<void> {
    // All that was answered for in this turn of the event loop is written together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.next();
      try {
        await this.#write(batch);
        this.#well();
        for (const { resolve } of batch) resolve();
      } catch (fault) {
        const why = this.#failed(fault);
        await this.#sealActive();
        await this.#sweep(); // or every try on a full disk would leave an empty file
        for (const { reject } of batch) reject(why);
      } finally {
        this.#waiting.settled(batch);
      }
    }
  }

  async #write(batch: Pending[]): Promise<void> {
    await this.open();
    const segment = this.#active ?? (await this.#create());
    let offset = segment.size;
    await segment.append(Buffer.concat(batch.map(({ bytes }) => bytes)));
    for (const { kept, bytes } of batch) {
      this.#lineUp(segment, { line: kept.line, at: kept.at, offset, length: bytes.length - 1 });
      offset += bytes.length;
    }
    if (segment.size >= segmentBytes) await this.#sealActive();
  }

  async #create(): Promise<Segment> {
    if (!this.#room) throw new TypeError("the spool is not open");
    const segment = await Segment.create(this.#room.folder, this.#next);
    this.#next++;
    this.#segments.add(segment);
    this.#active = segment;
    return segment;
  }

  async #sweep(): Promise<void> {
    for (const segment of [...this.#segments].filter((one) => one.left === 0 && one !== this.#active)) {
      this.#segments.delete(segment);
      await segment.remove().catch(() => {});
    }
  }

  async #sealActive(): Promise<void> {
    const active = this.#active;
    this.#active = null;
    await active?.seal();
  }

  async #probe(): Promise<void> {
    await this.open();
    if (this.bytes + this.#waiting.bytes + probeBytes > this.#options.limit) throw full();
    if (!this.#room) return;
    const path = join(this.#room.folder, "probe");
    try {
      await writeFile(path, Buffer.alloc(probeBytes), { mode: 0o600, flush: true });
    } finally {
      await rm(path, { force: true }).catch(() => {});
    }
  }

  #failed(fault: unknown): MeshError {
    const why = faultOf(fault);
    if (!this.#fault) log.error("spool not usable", { dir: this.#options.dir, why });
    this.#fault = why;
    this.#probedAt = performance.now();
    return why;
  }

  #well(): void {
    if (this.#fault) log.info("spool usable again", { dir: this.#options.dir });
    this.#fault = null;
  }
}
