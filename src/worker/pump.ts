import { FailingTarget, failureWords, mayNameFailure } from "../core/failing.ts";
import { LineMask } from "../core/lines.ts";
import { keyHint } from "../core/redact-patterns.ts";
import { logBounds, logCutLine } from "../core/log-bounds.ts";
import { plainLine } from "../core/plain.ts";
import type { House } from "./house.ts";
import type { ShippedLog } from "./ship.ts";
import { Tail } from "./tail.ts";

const quietAfter = 1000;
const tailLines = 20;
const tailCodePoints = 500;
const longestKept = 8192;
// Behind the head so much is read line by line for what failed: a log that says "error" in every line is not read for ever.
const mostGlances = 64 * 1024 * 1024;

const nothing = new Uint8Array();
const newlineByte = 10;
const slice = 262_144;

/**
 * Carries what a script prints to its log, masked before it leaves, and remembers the last lines and what failed. Bytes
 * are read as Latin-1, so whatever is not hidden arrives exactly as it was printed, invalid UTF-8 included. Of a log
 * over `limit` bytes the head is shipped as it comes and the tail at the end; what lies between is masked nowhere and leaves nothing.
 */
export class Pump {
  readonly #house: House;
  readonly #log: ShippedLog;
  readonly #limit: number;
  readonly #mask: LineMask;
  readonly #reader;
  readonly #over = new AbortController();
  readonly #failing = new FailingTarget();
  readonly #reading: Promise<void>;
  #heardAt = 0;
  #rest = "";
  #recent: string[] = [];
  /** Unmasked, in memory alone; there from the moment the head is full. */
  #tail: Tail | undefined;
  #gathering = nothing;
  #gathered = 0;
  /** What was masked already when the head was full, and how much the mask held back then. */
  #excess: Uint8Array = nothing;
  #waiting = 0;
  /** The unmasked line that has no end yet, for what may name a failure. */
  #loose = "";
  #glanced = 0;

  constructor(house: House, shipped: ShippedLog, output: ReadableStream<Uint8Array>, limit: number) {
    this.#house = house;
    this.#log = shipped;
    this.#limit = limit;
    this.#mask = new LineMask(house.find);
    this.#reader = output.getReader();
    this.#reading = this.#read();
    void this.#letGoWhenQuiet();
  }

  /** Reads to the end, which a process that left the group may hold open: at most `ms`. Then the log has everything. */
  async end(ms: number): Promise<void> {
    const limit = new AbortController();
    await Promise.race([this.#reading, this.#house.clock.sleep(ms, limit.signal)]);
    limit.abort();
    await this.#reader.cancel().catch(() => undefined);
    await this.#reading;
    this.#over.abort();
    if (!this.#isBehind()) await this.#show(this.#mask.end());
    // The last bytes may be those that did not fit, or those that the disk refused.
    await this.#log.written();
    this.#log.end(this.#isBehind() ? this.#lastBytes() : undefined);
  }

  /** The last 20 lines, plain and masked. */
  get tail(): string[] {
    const lines = this.#rest === "" ? this.#recent : [...this.#recent, this.#rest];
    return lines.slice(-tailLines).map((line) => plainLine(lastDrawn(utf8(line)), tailCodePoints));
  }

  get failingTarget(): string | null {
    if (this.#rest !== "") this.#failing.see(utf8(this.#rest));
    return this.#failing.name;
  }

  async #read(): Promise<void> {
    try {
      for (;;) {
        const { done, value } = await this.#reader.read();
        if (done) return;
        this.#heardAt = this.#house.clock.monotonic();
        if (this.#isBehind()) this.#gather(value);
        else await this.#show(this.#mask.push(latin1(value)));
      }
    } catch {
      // The pipe was closed under us: what was read is all there is.
    }
  }

  async #letGoWhenQuiet(): Promise<void> {
    const { clock } = this.#house;
    while (!this.#over.signal.aborted) {
      await clock.sleep(quietAfter / 4, this.#over.signal);
      if (!this.#over.signal.aborted && !this.#isBehind() && clock.monotonic() - this.#heardAt >= quietAfter)
        await this.#show(this.#mask.quiet());
    }
  }

  async #show(text: string): Promise<void> {
    if (text === "") return;
    this.#remember(text);
    const over = await this.#log.append(Buffer.from(text, "latin1"));
    if (over.length > 0) this.#excess = Buffer.concat([this.#excess, over]);
  }

  /** True once the head is full, or the disk is. */
  #isBehind(): boolean {
    if (this.#tail === undefined && (this.#excess.length > 0 || this.#log.full)) {
      this.#tail = new Tail(logBounds(this.#limit).tail, (bytes) => this.#skip(bytes));
      this.#waiting = this.#mask.waiting;
      this.#gathering = new Uint8Array(slice);
    }
    return this.#tail !== undefined;
  }

  /** Gathers what lies behind the head: a pipe gives a few kilobytes at a time, and a look at each costs more than its bytes. */
  #gather(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length;) {
      const piece = bytes.subarray(from, from + slice - this.#gathered);
      this.#gathering.set(piece, this.#gathered);
      this.#gathered += piece.length;
      from += piece.length;
      if (this.#gathered === slice) this.#keepGathered();
    }
  }

  #keepGathered(): void {
    if (this.#gathered > 0) this.#keep(this.#gathering.subarray(0, this.#gathered));
    this.#gathered = 0;
  }

  #keep(bytes: Uint8Array): void {
    this.#tail?.push(bytes);
    if (this.#failing.settled || this.#glanced >= mostGlances) return;
    const first = bytes.indexOf(newlineByte);
    const line = this.#loose + latin1(bytes.subarray(0, first === -1 ? bytes.length : first));
    // A word may begin in one piece and end in the next.
    const mayName = mayHoldFailure(bufferOf(bytes)) || mayNameFailure.test(line);
    if (this.#failing.waiting || mayName) this.#glance(latin1(bytes));
    else
      this.#loose = (first === -1 ? line : latin1(bytes.subarray(bytes.lastIndexOf(newlineByte) + 1))).slice(
        0,
        longestKept,
      );
  }

  /** Lets the mask know what was left out. Bytes are looked at as they are: nearly all of a long log passes here. */
  #skip(bytes: Uint8Array): void {
    const buffer = bufferOf(bytes);
    const line = buffer.lastIndexOf(newlineByte);
    if (this.#mask.isInKey || line <= keyHint.length || buffer.indexOf(keyHintBytes) !== -1)
      return this.#mask.skip(latin1(bytes));
    // A key may begin in what the mask holds: its first bytes and its last line are all that counts.
    this.#mask.skip(latin1(bytes.subarray(0, keyHint.length)) + latin1(bytes.subarray(line)));
  }

  /** Looks for what failed in what may be left out; nothing of it is remembered as it was printed. */
  #glance(text: string): void {
    this.#glanced += text.length;
    const lines = (this.#loose + text).split("\n");
    this.#loose = (lines.pop() ?? "").slice(0, longestKept);
    for (const line of lines) {
      if (this.#failing.waiting || mayNameFailure.test(line))
        this.#failing.see(this.#house.mask(utf8(line.slice(0, longestKept))));
    }
  }

  /** The tail, masked, and before it the line that says how much is missing, where something is. */
  #lastBytes(): Uint8Array {
    this.#keepGathered();
    const dropped = this.#tail?.dropped ?? 0;
    // What stands before the tail in its first line is in the mask still, and comes out with it.
    const cut = dropped > 0 ? this.#excess.length + this.#waiting + dropped - this.#mask.waiting : 0;
    const shown = dropped > 0 ? [] : [this.#excess];
    for (const part of this.#tail?.take() ?? []) {
      for (let at = 0; at < part.length; at += slice)
        shown.push(Buffer.from(this.#mask.push(latin1(part.subarray(at, at + slice))), "latin1"));
    }
    shown.push(Buffer.from(this.#mask.end(), "latin1"));
    const all = Buffer.concat(shown);
    const room = this.#limit - this.#log.size - logBounds(this.#limit).line;
    const from = all.length <= room ? 0 : lineAfter(all, all.length - room);
    const left = this.#log.lost + cut + from;
    // What was shown before is remembered already.
    const fresh = left > 0 ? from : this.#excess.length;
    if (left > 0) [this.#recent, this.#rest] = [[], ""];
    for (let at = fresh; at < all.length; at += slice) this.#remember(latin1(all.subarray(at, at + slice)));
    if (left === 0) return all;
    const why = this.#log.full ? "the disk of the node was full" : `a log is cut at ${this.#limit} bytes`;
    return Buffer.concat([Buffer.from(logCutLine(left, why)), all.subarray(from)]);
  }

  #remember(text: string): void {
    const all = this.#rest + text;
    const end = all.lastIndexOf("\n");
    this.#rest = all.slice(end + 1, end + 1 + longestKept);
    if (end === -1) return;
    const whole = all.slice(0, end);
    if (!this.#failing.settled && (this.#failing.waiting || mayHoldFailure(Buffer.from(whole, "latin1"))))
      for (const line of whole.split("\n")) this.#failing.see(utf8(line.slice(0, longestKept)));
    this.#recent = [...this.#recent, ...lastLines(whole)].slice(-tailLines);
  }
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
const latin1 = (bytes: Uint8Array): string => bufferOf(bytes).toString("latin1");

const keyHintBytes = Buffer.from(keyHint);
const words = failureWords.map((word) => Buffer.from(word, "latin1"));
const mayHoldFailure = (bytes: Buffer): boolean => words.some((word) => bytes.indexOf(word) !== -1);

const utf8 = (text: string): string => Buffer.from(text, "latin1").toString("utf8");

/** Where the first line begins at or after `from`; `from` itself where lines are long. */
function lineAfter(bytes: Buffer, from: number): number {
  const newline = bytes.indexOf(10, from - 1);
  return newline === -1 || newline > from + 65_536 ? from : newline + 1;
}

function lastLines(text: string): string[] {
  const lines: string[] = [];
  for (let end = text.length; lines.length < tailLines && end >= 0;) {
    const newline = end === 0 ? -1 : text.lastIndexOf("\n", end - 1);
    const start = newline + 1;
    // Only what a terminal would still show of the line matters, and a line may be 64 KiB long.
    const line = text.slice(start, end);
    lines.unshift(line.length > longestKept ? line.slice(0, longestKept) : line);
    end = newline;
  }
  return lines;
}

/** A progress bar draws over itself: what came after the last carriage return is what stands there. */
function lastDrawn(line: string): string {
  return line.split("\r").findLast((part) => part.trim() !== "") ?? "";
}
