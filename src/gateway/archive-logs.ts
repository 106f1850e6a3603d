import { join } from "node:path";
import type { Archive } from "../core/archive.ts";
import { isOver } from "../core/records.ts";
import { log } from "../log.ts";
import { type Logs, openLogs } from "../stores/logs.ts";
import { lateLogs_ms } from "../core/log-bounds.ts";
import type { Store } from "../stores/store.ts";
import { type LogMasks, withMasked } from "./masked-copy.ts";
import { nap, type Sleep } from "./stir.ts";

export interface ArchiverOptions {
  store: Pick<Store, "show">;
  archive: Archive | undefined;
  state_dir: string;
  /** Hides our own secrets with as many bytes. */
  masks: LogMasks;
  sleep?: Sleep;
  /** Epoch milliseconds. */
  now?: () => number;
}

export interface Archiver {
  /** What people must know of the archive. */
  notes(): string[];
  stop(): Promise<void>;
}

const lookEvery = 5000;
const longestPause = 300_000;
const mostFaults = 3;
// A node that ships its last bytes late does so in bursts: what was written to a moment ago is left for the next look.
const settled = 2000;

/**
 * Copies the logs of attempts that are over into the archive, each again when it grew, until stopped. A failing archive is
 * waited out, blocks nothing else, and leaves the local files where they are. Never throws.
 */
export function startArchiver({
  store,
  archive,
  state_dir,
  masks,
  sleep = nap,
  now = Date.now,
}: ArchiverOptions): Archiver {
  const over = new AbortController();
  const folder = join(state_dir, "logs");
  const logs = openLogs(folder);
  /** Runs of which everything is archived and nothing more can come. */
  const done = new Set<string>();
  let fault: string | null = null;

  async function look(to: Archive): Promise<void> {
    const runs = new Set(await logs.runs());
    for (const run_id of done) if (!runs.has(run_id)) done.delete(run_id);
    const faults: unknown[] = [];
    for (const run_id of runs) {
      // One log that cannot be had holds up no other; an archive that is away is not asked for each.
      if (over.signal.aborted || faults.length >= mostFaults) break;
      if (done.has(run_id)) continue;
      const whole = await archiveRun(run_id, { store, logs, to, folder, masks, now }).catch((why: unknown) => {
        faults.push(why);
        return false;
      });
      if (whole) done.add(run_id);
    }
    if (faults.length > 0) throw faults[0];
  }

  async function run(to: Archive): Promise<void> {
    for (let pause = lookEvery; !over.signal.aborted; await sleep(pause, over.signal)) {
      try {
        await look(to);
        if (fault !== null) log.info("logs archived again");
        [fault, pause] = [null, lookEvery];
      } catch (why) {
        const message = why instanceof Error ? why.message : "unknown";
        if (fault === null) log.warn("logs not archived", { why: message });
        [fault, pause] = [message, Math.min(longestPause, pause * 2)];
      }
    }
  }

  const ended = archive ? run(archive) : Promise.resolve();
  return {
    notes: () => (fault === null ? [] : [`logs are not archived: ${fault}`]),
    async stop() {
      over.abort();
      // An upload that hangs is begun anew by whoever comes next.
      await Promise.race([ended, Bun.sleep(goodbye)]);
    },
  };
}

const goodbye = 2000;

interface Hands {
  store: Pick<Store, "show">;
  logs: Logs;
  to: Archive;
  folder: string;
  masks: LogMasks;
  now: () => number;
}

/** Archives what is over of one run; true when there is nothing left that may change. */
async function archiveRun(run_id: string, { store, logs, to, folder, masks, now }: Hands): Promise<boolean> {
  const files = await logs.filesOf(run_id);
  if (!files) return true;
  const isOld = now() - files.changed > lateLogs_ms;
  let rest = files.logs.filter(({ archived }) => !archived);
  if (rest.length === 0 && !isOld) return false;
  const run = (await store.show(run_id))?.run;
  if (!run) return true;
  for (const { name, size, changed } of rest) {
    const attempt = Number.parseInt(name, 10);
    if ((attempt === run.attempt && !isOver(run.state)) || now() - changed < settled) continue;
    await withMasked(join(folder, run_id, name), masks, (path) => to.put(`${run_id}/${name}`, path));
    logs.mark(run_id, name, size);
    log.info("log archived", { run_id, attempt, bytes: size });
    rest = rest.filter((other) => other.name !== name);
  }
  return isOld && isOver(run.state) && rest.length === 0;
}
