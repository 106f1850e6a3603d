import { type Config, checkFiles, digestOf, type Loaded } from "../config.ts";
import { type Again, loadAgain } from "../config/again.ts";
import { MeshError } from "../core/error.ts";
import type { JsonObject } from "../core/json.ts";
import { log } from "../log.ts";
import { nap, type Sleep } from "./stir.ts";

export interface ReloadOptions {
  /** The configuration that runs. */
  running: Loaded;
  /** The places of another configuration that this process cannot change. */
  fixed: (next: Config) => readonly string[];
  /** Puts another configuration in place; throws, and changes nothing, where that cannot be. */
  take: (config: Config) => void;
  /** Hears when what there is to say of the file may have changed. */
  onNews?: () => void;
  sleep?: Sleep;
}

export interface Reload {
  /** Reads the file now, whether or not it has changed, and says what came of it. */
  now(): void;
  /** What people must know: that what runs is not what the file says. */
  notes(): string[];
  /** The same, as this gateway says it of itself. */
  facts(): JsonObject;
  stop(): Promise<void>;
}

const lookEvery = 2000;
// Whoever writes a file in place is seen half way: what two looks find the same is taken for whole.
const settlesIn = 500;
const mostPlaces = 50;

/**
 * Follows the configuration file: what it says is put in place as a whole, or refused as a whole and said once. One that
 * is refused because of a secret's file is tried again until that is mended. Without a file there is nothing to follow.
 */
export function startReload(options: ReloadOptions): Reload {
  const { file } = options.running;
  return file === null ? nothing : follow(file, options);
}

const nothing: Reload = { now: () => {}, notes: () => [], facts: () => ({}), stop: async () => {} };

function follow(file: string, { running: first, fixed, take, onNews = () => {}, sleep = nap }: ReloadOptions): Reload {
  const over = new AbortController();
  let bell = Promise.withResolvers<void>();
  let asked = false;
  let running = first;
  /** The state of the file that was last taken or refused. */
  let known = first.digest;
  /** Reads well, and waits for the files that it names. */
  let waiting: Again | null = null;
  let refusal: string | null = null;
  let lastRefused = "";
  let restart: string[] = [];

  async function look(): Promise<number> {
    const digest = await digestOf(file);
    if (digest === known && !asked) {
      if (waiting) enter(waiting, false);
      return lookEvery;
    }
    await sleep(settlesIn, over.signal);
    if (over.signal.aborted || (await digestOf(file)) !== digest) return 0;
    const forced = asked && digest === known;
    asked = false;
    const read = await loadAgain(file, running, fixed).catch((fault: unknown) => ({ fault }));
    // What was read may be the next state of the file, or half of it.
    if ((await digestOf(file)) !== digest) return 0;
    known = digest;
    waiting = "fault" in read ? null : read;
    if ("fault" in read) refuse(read.fault, forced);
    else enter(read, forced);
    return lookEvery;
  }

  function enter({ loaded, changed, restart: kept }: Again, forced: boolean): void {
    try {
      checkFiles(loaded.config, loaded.vault);
      take(loaded.config);
    } catch (fault) {
      return refuse(fault, forced);
    }
    running = loaded;
    waiting = null;
    const isNews = refusal !== null || !forced || changed.length > 0;
    refusal = null;
    const others = changed.length > mostPlaces ? { and_more: changed.length - mostPlaces } : {};
    if (isNews) log.info("configuration loaded", { file, changed: changed.slice(0, mostPlaces), ...others });
    else log.info("configuration unchanged", { file });
    if (kept.length > 0 && kept.join() !== restart.join())
      log.warn("configuration needs a restart", { file, needs_restart: kept });
    restart = kept;
    onNews();
  }

  function refuse(fault: unknown, forced: boolean): void {
    if (!(fault instanceof MeshError)) waiting = null;
    const [summary = "", ...problems] = linesOf(fault);
    const isNews = lastRefused !== `${known} ${problems.join()}`;
    lastRefused = `${known} ${problems.join()}`;
    refusal = summary;
    onNews();
    const hint = fault instanceof MeshError ? fault.hint : undefined;
    if (isNews) log.error("configuration refused, the last one stays", { file, why: summary, problems, hint });
    else if (forced) log.info("configuration still refused", { file });
  }

  async function run(): Promise<void> {
    while (!over.signal.aborted) {
      const rung = bell.promise;
      const ms = await look().catch((why: unknown) => {
        log.error("configuration not followed", { file, why });
        return lookEvery;
      });
      if (ms === 0 || asked) continue;
      const rest = new AbortController();
      await Promise.race([sleep(ms, AbortSignal.any([over.signal, rest.signal])), rung]);
      rest.abort();
    }
  }

  const ended = run();
  return {
    now() {
      asked = true;
      bell.resolve();
      bell = Promise.withResolvers<void>();
    },
    notes: () => [
      ...(refusal === null ? [] : [`the configuration file is not in use, what it said before is: ${refusal}`]),
      ...(restart.length === 0 ? [] : [`the configuration needs a restart: ${restart.join(", ")}`]),
    ],
    facts: () => ({ refused: refusal, needs_restart: restart }),
    async stop() {
      over.abort();
      await ended;
    },
  };
}

/** What an error says in all, then each problem; what to type stands with its problem. */
const linesOf = (fault: unknown): string[] =>
  (fault instanceof Error ? fault.message : "unreadable")
    .split(/\n {2}(?! )/)
    .map((line) => line.replace(/\s*\n\s*/g, ": "));
