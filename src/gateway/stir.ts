import { longestTimer } from "../core/units.ts";
import { log } from "../log.ts";
import type { Store } from "../stores/store.ts";

/** Resolves after `ms` milliseconds (`longestTimer` at most), or as soon as the signal fires. */
export type Sleep = (ms: number, signal?: AbortSignal) => Promise<void>;

export interface Loop {
  /** Takes a turn now, or right after the one under way. */
  wake(): void;
  /** Resolves when the turn under way is over; there is no further one. */
  stop(): Promise<void>;
}

export const nap: Sleep = (ms, signal) =>
  new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, Math.min(ms, longestTimer));
    signal?.addEventListener("abort", done);
  });

const stirredBy = { announce: "events", send: "posts", drain: "logs" } as const;
const longestWait = 30_000;
const firstPause = 100;
const longestPause = 10_000;

/**
 * Takes turns until stopped. A turn answers how long to wait: 0 for again at once, else milliseconds, cut short when the
 * store stirs or somebody wakes the loop. A turn that throws is tried again, ever more slowly, up to every 10 s.
 */
export function startLoop(
  name: keyof typeof stirredBy,
  { store, sleep = nap }: { store: Pick<Store, "stirred">; sleep?: Sleep },
  turn: () => Promise<number>,
): Loop {
  const over = new AbortController();
  let bell = Promise.withResolvers<void>();
  let stirring: Promise<void> | undefined;
  let faults = 0;

  const waitFor = async (ms: number, others: Promise<void>[]): Promise<void> => {
    const rest = new AbortController();
    await Promise.race([sleep(ms, AbortSignal.any([over.signal, rest.signal])), ...others]);
    rest.abort();
  };
  const arm = (): Promise<void> => {
    const armed = store
      .stirred(stirredBy[name], { ms: longestWait, signal: over.signal })
      .catch(() => sleep(longestPause, over.signal))
      .then(() => {
        stirring = undefined;
      });
    return armed;
  };
  const run = async (): Promise<void> => {
    while (!over.signal.aborted) {
      // Armed before looking: what happens between the look and the wait is not missed.
      stirring ??= arm();
      const rung = bell.promise;
      try {
        const ms = await turn();
        faults = 0;
        if (ms > 0) await waitFor(ms, [stirring ?? Promise.resolve(), rung]);
      } catch (fault) {
        const ms = Math.min(longestPause, firstPause * 2 ** faults++);
        log.warn("turn failed", {
          loop: name,
          why: fault instanceof Error ? fault.message : "unknown",
          again_in_ms: ms,
        });
        await waitFor(ms, []);
      }
    }
  };
  const ended = run();
  return {
    wake() {
      bell.resolve();
      bell = Promise.withResolvers<void>();
    },
    async stop() {
      over.abort();
      await ended;
    },
  };
}
