import type { Result } from "../core/records.ts";
import type { FindSpans } from "../core/spans.ts";
import type { Held, NodeStore } from "../stores/store.ts";
import type { Clock } from "./clock.ts";
import type { PipeShelf } from "./pipe.ts";

/** The `node` section of the configuration, paths absolute. */
export interface NodeOptions {
  id: string;
  labels: string[];
  concurrency: number;
  scripts_dir: string;
  work_dir: string;
  pass_env: string[];
}

/** What happened on this worker, for `up` and for tests. */
export type WorkerEvent =
  | { what: "idle" }
  | ({ what: "leased" } & Held)
  | ({ what: "started"; pid: number } & Held)
  | { what: "finished"; result: Result; answer: "ok" | "stale" | "unreached" }
  | ({ what: "lost"; why: "fence" | "stale" } & Held);

/** The log of an attempt that is over, of which the store has not everything. */
export interface UnshippedLog {
  readonly held: Held;
  /** Bytes that the store does not have. */
  readonly missing: number;
  /** Waits until everything is shipped or refused, at most `ms` or until the signal fires; answers what is missing. */
  shipped(ms: number, hurry?: AbortSignal): Promise<number>;
  close(): Promise<void>;
}

/** What every part of one worker shares. */
export interface House {
  store: NodeStore;
  node: NodeOptions;
  version: string;
  clock: Clock;
  /** In [0, 1): spreads retries. */
  chance: () => number;
  /** Finds what must not leave this node. */
  find: FindSpans;
  /** Hides the same in a text. */
  mask: (text: string) => string;
  /** True for a text that holds a value of the worker's own. */
  isOwn: (text: string) => boolean;
  pipes: PipeShelf;
  /** The program that keeps a Mac awake; null where there is none. */
  caffeinate: string | null;
  /** Takes a log that the store could not take in time, and the folder it is in. */
  keepLog: (log: UnshippedLog, dir: string) => void;
  on: (event: WorkerEvent) => void;
  /** Milliseconds between SIGTERM and SIGKILL after a timeout or a cancel. */
  grace: number;
  /** The same when the worker must stop now. */
  stopGrace: number;
}
