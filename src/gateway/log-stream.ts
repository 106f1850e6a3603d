import { MeshError } from "../core/error.ts";
import { isOver } from "../core/records.ts";
import type { OperatorStore } from "../stores/store.ts";
import type { LogMasks } from "./masked-copy.ts";

export interface LogWish {
  run_id: string;
  /** The attempt that was asked for; null for the last one, which a follower waits for while there is none. */
  attempt: number | null;
  /** Byte to begin at. */
  from: number;
  follow: boolean;
  /** Hides secrets without changing the length, so that `from` means the same bytes next time. */
  masks: LogMasks;
  /** What to end with where the store can read no further; without it the stream fails with what the store threw. */
  brokenOff?: (fault: MeshError) => string;
  /** Fires when nobody listens any more. */
  signal: AbortSignal;
}

const pageSize = 256 * 1024;
const lookAgainAfter = 300;
const newline = 10;

/** Streams the stored log of an attempt, whole lines at a time; following, until the attempt or the run is over. */
export function logStream(store: Pick<OperatorStore, "show" | "readLog">, wish: LogWish): ReadableStream<Uint8Array> {
  const pages = logPages(store, wish);
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await pages.next();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (fault) {
        if (!wish.brokenOff || !(fault instanceof MeshError)) throw fault;
        controller.enqueue(new TextEncoder().encode(wish.brokenOff(fault)));
        controller.close();
      }
    },
    async cancel() {
      await pages.return();
    },
  });
}

async function* logPages(
  store: Pick<OperatorStore, "show" | "readLog">,
  wish: LogWish,
): AsyncGenerator<Uint8Array, void> {
  const { run_id, follow, masks, signal } = wish;
  let { attempt, from } = wish;
  let isWithinLine = from > 0;
  while (!signal.aborted) {
    const run = (await store.show(run_id))?.run;
    if (!run) return;
    attempt ??= run.attempt > 0 ? run.attempt : null;
    // Looked at before the last page is read: what was written until the end is in it.
    const over = !follow || isOver(run.state) || (attempt !== null && run.attempt !== attempt);
    const bytes = attempt === null ? nothing : await page(store, { run_id, attempt, from, over });
    if (bytes.length > 0) {
      if (attempt !== null) yield await maskPage(store, { run_id, attempt, from, bytes, masks, isWithinLine });
      from += bytes.length;
      isWithinLine = bytes.at(-1) !== newline;
    } else if (over) return;
    else await Bun.sleep(lookAgainAfter);
  }
}

const nothing = new Uint8Array();

/** Reads the next whole lines; a line that fills a page is cut. */
async function page(
  store: Pick<OperatorStore, "readLog">,
  { run_id, attempt, from, over }: { run_id: string; attempt: number; from: number; over: boolean },
): Promise<Uint8Array> {
  const { bytes, size } = await store.readLog(run_id, attempt, from, pageSize);
  const last = over && from + bytes.length >= size;
  // The rest of this line is kept by another gateway: the next read says so.
  const elsewhere = bytes.length < pageSize && from + bytes.length < size;
  const whole = bytes.lastIndexOf(newline) + 1;
  return last || (whole === 0 && (elsewhere || bytes.length >= pageSize)) ? bytes : bytes.subarray(0, whole);
}

export interface LogPage {
  run_id: string;
  attempt: number;
  from: number;
  bytes: Uint8Array;
  masks: LogMasks;
  /** Whether it may begin within a line. */
  isWithinLine: boolean;
}

/** Masks a page. A secret never spans lines, but where a page begins or ends within one, what stands around it is looked at, too. */
export async function maskPage(store: Pick<OperatorStore, "readLog">, page: LogPage): Promise<Uint8Array> {
  const { run_id, attempt, from, bytes, masks, isWithinLine } = page;
  const reach = masks.reach();
  const around = (at: number, length: number): Promise<Uint8Array> =>
    length === 0
      ? Promise.resolve(nothing)
      : // What is elsewhere cannot be looked at; whoever reads on is told so.
        store.readLog(run_id, attempt, at, length).then(
          (slice) => slice.bytes,
          () => nothing,
        );
  const start = isWithinLine ? Math.max(0, from - reach) : from;
  const [before, after] = await Promise.all([
    around(start, from - start),
    around(from + bytes.length, bytes.at(-1) === newline ? 0 : reach),
  ]);
  // One that is shorter than asked for ends somewhere else.
  const joins = before.length === from - start ? before : nothing;
  return masks.bytes(Buffer.concat([joins, bytes, after])).subarray(joins.length, joins.length + bytes.length);
}
