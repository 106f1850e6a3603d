import { resolve } from "node:path";
import { exactMask, secretMask, secretSpans } from "../core/redact.ts";
import { namesSecret } from "../core/variables.ts";
import { log } from "../log.ts";
import type { NodeStore } from "../stores/store.ts";
import { version as ownVersion } from "../version.ts";
import type { Asks } from "./attempt.ts";
import { type Clock, realClock } from "./clock.ts";
import type { House, NodeOptions, WorkerEvent } from "./house.ts";
import { LateLogs } from "./late.ts";
import { lockWorkDir } from "./lock.ts";
import { Loop } from "./loop.ts";
import { endOrphans } from "./orphans.ts";
import { PipeShelf } from "./pipe.ts";

export type { Clock } from "./clock.ts";
export type { NodeOptions, WorkerEvent } from "./house.ts";

export interface WorkerOptions {
  /** The caller opens and closes it. */
  store: NodeStore;
  node: NodeOptions;
  version?: string;
  /** The values that the worker itself holds, asked anew as they rotate: hidden in every log and result, kept out of every script's environment. */
  masked?: () => string[];
  /** Run one task or find none, then end. */
  once?: boolean;
  clock?: Clock;
  chance?: () => number;
  /** Milliseconds between SIGTERM and SIGKILL. */
  grace?: number;
  /** The program that keeps the machine awake while a script runs; by default that of macOS, elsewhere none. */
  caffeinate?: string | null;
  on?: (event: WorkerEvent) => void;
}

export interface Worker {
  /** Resolves when no script is left and nothing is leased; "nothing" when `once` found no task. Rejects when the worker could not start (75: the work folder is another's), or `once` did not reach the store. */
  done: Promise<"ran" | "nothing">;
  /** Takes no new work and lets the running scripts finish. */
  drain(): void;
  /** Ends the running scripts and hands their runs back. */
  stop(): void;
}

const defaultGrace = 10_000;
const defaultStopGrace = 2000;
const usualCaffeinate = process.platform === "darwin" ? "/usr/bin/caffeinate" : null;
// A worker that ends leaves what is not shipped by then to the next one of its folder.
const lateGoodbye = 2000;

/** Starts the worker of one node: it leases runs, runs their scripts, ships their logs and says how they ended. */
export function startWorker(options: WorkerOptions): Worker {
  const drain = new AbortController();
  const stop = new AbortController();
  const asks = { drain: drain.signal, stop: stop.signal };
  const late = new LateLogs();
  return {
    done: work(houseOf(options, late), late, asks, options.once ?? false),
    drain: () => drain.abort(),
    stop: () => {
      drain.abort();
      stop.abort();
    },
  };
}

function houseOf(
  { store, node, version = ownVersion, clock = realClock, ...rest }: WorkerOptions,
  late: LateLogs,
): House {
  const grace = rest.grace ?? defaultGrace;
  const workDir = resolve(node.work_dir);
  const passed = passedSecrets(node);
  const masks = following(rest.masked ?? (() => []), (held) => {
    const own = exactMask(held);
    const hidden = [...held, ...passed];
    return { find: secretSpans(hidden), mask: secretMask(hidden), isOwn: (text: string) => own(text) !== text };
  });
  return {
    store,
    node: { ...node, scripts_dir: resolve(node.scripts_dir), work_dir: workDir },
    version,
    clock,
    chance: rest.chance ?? Math.random,
    find: (text) => masks().find(text),
    mask: (text) => masks().mask(text),
    isOwn: (text) => masks().isOwn(text),
    pipes: new PipeShelf(workDir),
    caffeinate: rest.caffeinate === undefined ? usualCaffeinate : rest.caffeinate,
    keepLog: (shipped, dir) => late.keep(shipped, dir),
    on: rest.on ?? (() => undefined),
    grace,
    stopGrace: Math.min(grace, defaultStopGrace),
  };
}

/** Makes something of a list, and makes it anew when the list is another. */
function following<T>(list: () => string[], make: (values: string[]) => T): () => T {
  let known = list();
  let made = make(known);
  return () => {
    const values = list();
    if (values.length !== known.length || values.some((value, i) => value !== known[i]))
      [known, made] = [values, make(values)];
    return made;
  };
}

/** What `pass_env` hands to scripts under a name that says secret: theirs to use, nobody's to print. */
function passedSecrets({ pass_env }: NodeOptions): string[] {
  return pass_env.filter(namesSecret).flatMap((name) => process.env[name] ?? []);
}

async function work(house: House, late: LateLogs, asks: Asks, once: boolean): Promise<"ran" | "nothing"> {
  const { node } = house;
  const lock = await lockWorkDir(node.work_dir);
  try {
    await endOrphans(node.work_dir);
    await late.adopt(house);
    log.info("worker started", { mesh_node_id: node.id, labels: node.labels, concurrency: node.concurrency });
    const loop = new Loop(house, asks, lock.place);
    if (once) return await loop.once();
    await loop.work();
    log.info("worker stopped", { mesh_node_id: node.id });
    return "ran";
  } finally {
    await late.close(asks.stop.aborted ? 0 : lateGoodbye);
    house.pipes.close();
    await lock.release();
  }
}
