import { FailingTarget, mayNameFailure } from "../core/failing.ts";
import { LineMask } from "../core/lines.ts";
import { plainLine } from "../core/plain.ts";
import type { House } from "./house.ts";
import type { ShippedLog } from "./ship.ts";

const quietAfter = 1000;
const tailLines = 20;
const tailCodePoints = 500;
const longestKept = 8192;

/**
 * Carries what a script prints to its log, masked before it leaves, and remembers the last lines and what failed. Bytes
 * are read as Latin-1, so whatever is not hidden arrives exactly as it was printed, invalid UTF-8 included.
 */
export class Pump {
  readonly #house: House;
  readonly #log: ShippedLog;
  readonly #mask: LineMask;
  readonly #reader;
  readonly #over = new AbortController();
  readonly #failing = new FailingTarget();
  readonly #reading: Promise<void>;
  #heardAt = 0;
  #rest = "";
  #recent: string[] = [];

  constructor(house: House, shipped: ShippedLog, output: ReadableStream<Uint8Array>) {
    this.#house = house;
    this.#log = shipped;
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
    await this.#show(this.#mask.end());
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
        await this.#show(this.#mask.push(Buffer.from(value.buffer, value.byteOffset, value.length).toString("latin1")));
      }
    } catch {
      // The pipe was closed under us: what was read is all there is.
    }
  }

  async #letGoWhenQuiet(): Promise<void> {
    const { clock } = this.#house;
    while (!this.#over.signal.aborted) {
      await clock.sleep(quietAfter / 4, this.#over.signal);
      if (!this.#over.signal.aborted && clock.monotonic() - this.#heardAt >= quietAfter)
        await this.#show(this.#mask.quiet());
    }
  }

  async #show(text: string): Promise<void> {
    if (text === "") return;
    this.#remember(text);
    await this.#log.append(Buffer.from(text, "latin1"));
  }

  #remember(text: string): void {
    const all = this.#rest + text;
    const end = all.lastIndexOf("\n");
    this.#rest = all.slice(end + 1, end + 1 + longestKept);
    if (end === -1) return;
    const whole = all.slice(0, end);
    if (!this.#failing.settled && (this.#failing.waiting || mayNameFailure.test(whole)))
      for (const line of whole.split("\n")) this.#failing.see(utf8(line.slice(0, longestKept)));
    this.#recent = [...this.#recent, ...lastLines(whole)].slice(-tailLines);
  }
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

const utf8 = (latin1: string): string => Buffer.from(latin1, "latin1").toString("utf8");

/** A progress bar draws over itself: what came after the last carriage return is what stands there. */
function lastDrawn(line: string): string {
  return line.split("\r").findLast((part) => part.trim() !== "") ?? "";
}
