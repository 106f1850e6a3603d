import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MeshError } from "../core/error.ts";
import { logBounds } from "../core/log-bounds.ts";
import type { Result } from "../core/records.ts";
import { log } from "../log.ts";
import type { Held, Lease } from "../stores/store.ts";
import { keepAwake } from "./awake.ts";
import { fired } from "./clock.ts";
import { environmentOf } from "./environment.ts";
import type { House } from "./house.ts";
import { endGently, endStragglers, kinSoon } from "./kin.ts";
import { Heartbeat, type Summons } from "./lease.ts";
import { forgetOrphan, logName, nameOf, noteOrphan, removeDir } from "./orphans.ts";
import type { Process } from "./processes.ts";
import { Pump } from "./pump.ts";
import { finish, type Outcome, outcomeOf, readResult, resultOf } from "./result.ts";
import { type Ended, openScript, type Script } from "./script.ts";
import { findScript } from "./scripts.ts";
import { ShippedLog } from "./ship.ts";

/** Asks that reach a running attempt from outside. */
export interface Asks {
  /** The worker takes no new work; this attempt goes on. */
  drain: AbortSignal;
  /** The worker stops now; this attempt is handed back. */
  stop: AbortSignal;
}

/** Why the wait for a script ended. */
type Cause = "exit" | "timed_out" | "stop" | Summons;

// Time for the output of a group that is gone to arrive, and for the log to reach the store before the result does.
const pipeDrain = 2000;
const logDrain = 30_000;
const stoppedDrain = 2000;
const longestTime = 86_400_000;
// A node that was cut off has nothing else to do. What is not shipped by then follows late.
const fencedDrain = 600_000;

/**
 * Runs one leased attempt to its end: first heartbeat, script, log, result. Resolves when the store has the result,
 * or when nothing of it counts any more. `sent` is the monotonic time at which the lease was asked for.
 */
export async function runAttempt(house: House, lease: Lease, sent: number, asks: Asks): Promise<void> {
  const held: Held = { run_id: lease.task.run_id, attempt: lease.attempt };
  const heartbeat = new Heartbeat(house, lease, sent);
  const dir = join(house.node.work_dir, nameOf(held));
  const started_at = house.clock.now();
  const first = heartbeat.first(asks.stop);
  const ready = await prepare(house, lease, dir).catch((cause: unknown) => ({ fault: faultOf(cause) }));
  const word = asks.drain.aborted ? "stop" : await first;
  try {
    if (word !== "ok" || asks.stop.aborted) {
      if ("script" in ready) await abandon(ready);
      await settle(house, held, heartbeat, asks, word === "ok" ? "stop" : word, { ended: null, started_at });
    } else if ("fault" in ready) {
      const outcome: Outcome = { state: "failed", reason: ready.fault, ended: null, started_at };
      await report(house, resultOf(house, held, outcome), heartbeat, asks);
    } else await run(house, lease, heartbeat, asks, ready);
  } finally {
    await forgetOrphan(house.node.work_dir, held);
    if ("shipped" in ready && ready.shipped.missing > 0) house.keepLog(ready.shipped, dir);
    else await removeDir(dir);
  }
}

interface Ready {
  script: Script;
  shipped: ShippedLog;
  resultFile: string;
}

/** Makes the attempt's folder and brings its script to the gate; it has not begun. Says the fault where that cannot be. */
async function prepare(house: House, lease: Lease, dir: string): Promise<Ready | { fault: string }> {
  const { task, attempt } = lease;
  const held = { run_id: task.run_id, attempt };
  const { node } = house;
  const path = await findScript(node.scripts_dir, task.script);
  if (path === null) return { fault: `no executable script ${JSON.stringify(task.script)} on this node` };
  await removeDir(dir);
  await mkdir(join(dir, "work"), { recursive: true, mode: 0o700 });
  const files = { task: join(dir, "task.json"), result: join(dir, "result") };
  await writeFile(files.task, JSON.stringify(task), { mode: 0o600, flag: "wx" });
  const env = environmentOf(lease, files, { node, own: process.env, isOwn: house.isOwn });
  const room = logBounds(lease.log_limit).head;
  const shipped = await ShippedLog.open(house, held, join(dir, logName), room);
  let script: Script | undefined;
  try {
    script = openScript(path, { dir, env, pipe: house.pipes.take() });
    await noteOrphan(node.work_dir, held, script.pid);
    return { script, shipped, resultFile: files.result };
  } catch (cause) {
    await abandon({ script, shipped });
    throw cause;
  }
}

function faultOf(cause: unknown): string {
  if (cause instanceof MeshError) return cause.message;
  const code = cause instanceof Error && "code" in cause ? ` (${String(cause.code)})` : "";
  return `the script could not be started${code}`;
}

async function abandon({ script, shipped }: { script: Script | undefined; shipped: ShippedLog }): Promise<void> {
  script?.signal("SIGKILL");
  await script?.exited;
  script?.close();
  await shipped.close();
}

async function run(house: House, lease: Lease, heartbeat: Heartbeat, asks: Asks, ready: Ready): Promise<void> {
  const { script, shipped, resultFile } = ready;
  const held: Held = { run_id: lease.task.run_id, attempt: lease.attempt };
  const started_at = house.clock.now();
  const since = house.clock.monotonic();
  const pump = new Pump(house, shipped, script.output, lease.log_limit);
  const awake = keepAwake(house.caffeinate, script.pid);
  script.go();
  log.info("script started", { ...held, script: lease.task.script, pid: script.pid });
  house.on({ what: "started", pid: script.pid, ...held });

  const { cause, kin } = await endOf(house, lease, heartbeat, script, asks);
  const ended = await script.exited;
  // How long its output takes to arrive is not its time; nor is a wall clock that was set meanwhile.
  const ended_at = started_at + Math.round(house.clock.monotonic() - since);
  script.signal("SIGKILL"); // whoever of the group is left
  await endStragglers({ group: script.pid, dir: script.dir, ...held }, kin);
  awake.end();
  await pump.end(pipeDrain);
  script.close();
  // Said before the rest of the log is shipped, for that may take as long as the cut.
  if (cause === "fence") await settle(house, held, heartbeat, asks, cause, { ended, started_at });
  await shipRest(house, shipped, cause, heartbeat, asks);
  if (shipped.missing === 0) await shipped.close();
  if (cause === "fence") return;
  const said = await readResult(resultFile);
  const facts = { ended, ended_at, started_at, said, tail: pump.tail, failing_target: pump.failingTarget };
  await settle(house, held, heartbeat, asks, cause, facts);
}

/** Ships what is left of a log, for as long as the result should wait for it. */
async function shipRest(
  { clock }: House,
  shipped: ShippedLog,
  cause: Cause,
  heartbeat: Heartbeat,
  { drain, stop }: Asks,
): Promise<void> {
  if (cause === "stop" || cause === "stale") return void (await shipped.shipped(stoppedDrain));
  if (cause === "fence" && !drain.aborted) return void (await shipped.shipped(fencedDrain, drain));
  if (drain.aborted) return void (await shipped.shipped(Math.min(logDrain, heartbeat.left / 2 || logDrain), stop));
  // The lease is kept meanwhile: what an outage held back may take its time, and the result comes after it.
  const over = new AbortController();
  const stuck = new AbortController();
  void keepLease();
  void findStuck();
  await shipped.shipped(longestTime, AbortSignal.any([stop, stuck.signal]));
  over.abort();

  async function keepLease(): Promise<void> {
    // Most logs are shipped by then.
    await clock.sleep(Math.min(1000, heartbeat.left / 2), over.signal);
    while ((await heartbeat.watch(over.signal)) === "fence") await clock.sleep(1000, over.signal);
  }

  /** A store that is there and takes nothing for a while is not waited for; nor is one that is gone, by a worker that is to go. */
  async function findStuck(): Promise<void> {
    let before = Infinity;
    while (!over.signal.aborted && !drain.aborted && (heartbeat.reachedFor < logDrain || shipped.missing < before)) {
      before = shipped.missing;
      await clock.sleep(logDrain, AbortSignal.any([over.signal, drain]));
    }
    if (drain.aborted) await clock.sleep(logDrain, over.signal);
    stuck.abort();
  }
}

/** Waits until the script is over, and ends it when something asks for that; `kin` is who belonged to it before it was asked to end. */
async function endOf(
  house: House,
  lease: Lease,
  heartbeat: Heartbeat,
  script: Script,
  asks: Asks,
): Promise<{ cause: Cause; kin: Process[] }> {
  const { clock } = house;
  const over = new AbortController();
  const exited = script.exited.then((): Cause => "exit");
  // Without a summons the watch ends only with the script.
  const summoned = heartbeat.watch(over.signal).then((summons): Cause => summons ?? "exit");
  const late = clock.sleep(lease.timeout_ms, over.signal).then((): Cause => "timed_out");
  const stopped = fired(AbortSignal.any([asks.stop, over.signal])).then((): Cause => "stop");
  const cause = await Promise.race([exited, summoned, late, stopped]);
  let kin: Process[] = [];
  if (cause !== "exit") {
    log.info("script called back", { run_id: lease.task.run_id, attempt: lease.attempt, why: cause });
    // While its tree still stands: a process whose parent has ended is nobody's child any more.
    kin = await kinSoon(clock, {
      group: script.pid,
      dir: script.dir,
      run_id: lease.task.run_id,
      attempt: lease.attempt,
    });
    // However long the grace: while the lease may still be ours, the script must be gone.
    const grace = Math.min(graceOf(house, cause), heartbeat.left / 2);
    if (grace > 0) endGently(script.pid, kin);
    await Promise.race([exited, clock.sleep(grace, over.signal), ...(cause === "timed_out" ? [summoned] : [])]);
    script.signal("SIGKILL");
    await exited;
  }
  over.abort();
  return { cause, kin };
}

function graceOf(house: House, cause: Cause): number {
  if (cause === "stale") return 0;
  if (cause === "fence") return Infinity;
  return cause === "stop" ? house.stopGrace : house.grace;
}

/** What is known of a script when it has ended, or that it never began. */
type Facts = Omit<Outcome, "state" | "reason">;

/** Says what became of the attempt, unless it counts no more. */
async function settle(h: House, held: Held, beat: Heartbeat, asks: Asks, cause: Cause, facts: Facts): Promise<void> {
  if (cause === "stale" || cause === "fence") {
    if (cause === "stale") log.warn("attempt discarded, its lease is another's", { ...held });
    else log.error("attempt lost, its lease could not be renewed", { ...held });
    h.on({ what: "lost", why: cause, ...held });
    return;
  }
  await report(h, resultOf(h, held, { ...facts, ...verdictOf(cause, facts.ended) }), beat, asks);
}

function verdictOf(
  cause: "exit" | "timed_out" | "stop" | "cancel",
  ended: Ended | null,
): Pick<Outcome, "state" | "reason"> {
  if (cause === "timed_out") return { state: "failed", reason: "timed_out" };
  if (cause === "cancel") return { state: "cancelled", reason: null };
  if (cause === "stop" || ended === null) return { state: "queued", reason: "worker stopped" };
  return outcomeOf(ended);
}

async function report(house: House, result: Result, heartbeat: Heartbeat, { drain, stop }: Asks): Promise<void> {
  const { run_id, attempt, state, reason, exit_code } = result;
  const ms = result.finished_at - result.started_at;
  // A result is worth saying as long as it may count; who must go says it a few times and goes.
  const giveUp = (tries: number) => (stop.aborted && tries >= 5) || (drain.aborted && heartbeat.left === 0);
  const answer = await finish(house, result, giveUp);
  log.info("script ended", { run_id, attempt, state, reason, exit_code, ms, answer });
  house.on({ what: "finished", result, answer });
}
