import { existsSync } from "node:fs";
import { constants } from "node:os";
import { MeshError } from "../core/error.ts";
import { humanDuration } from "../core/units.ts";
import { log } from "../log.ts";
import type { OperatorStore } from "../stores/store.ts";
import { type Clock, fired } from "./clock.ts";
import { signalGroup } from "./script.ts";

/** What a held lock stands on. */
export interface HoldHouse {
  lend<T>(use: (store: OperatorStore) => Promise<T>): Promise<T>;
  clock: Clock;
  /** Tells of the signals that this process gets, until what it answers is called. */
  hearSignals(hear: (name: NodeJS.Signals) => void): () => void;
  /** Says in words who has the lock, for the message that it was not free. */
  whoHolds(store: OperatorStore, lock: string): Promise<string>;
  /** Starts who ends a group of processes when this process is killed. */
  watchOver?: (group: number) => Watch;
}

export interface HoldWish {
  lock: string;
  node: string;
  /** After so long the command is ended. */
  for_ms: number;
  /** How long to wait for the lock. */
  wait_ms: number;
  ttl_ms: number;
  heartbeat_ms: number;
  fence_ms: number;
}

/** Why the command was ended before its time: `--for` is over, the store was not reached, or the lock went to somebody else. */
type Cut = "over" | "fence" | "lost";

const askAgainAfter = 500;
const retryAfter = 1000;
const grace = 10_000;

/**
 * Runs `command` while it holds a lock, renewed by heartbeats, and resolves with its exit status (128 + n for a signal). Throws
 * `later` (75) where the lock was not free in time or the command had to be ended for `for_ms`, `unavailable` (69) where the
 * lock could not be kept: the command is gone before somebody else may have it.
 */
export async function runHolding(house: HoldHouse, wish: HoldWish, command: string[]): Promise<number> {
  const token = crypto.randomUUID();
  const gone = new AbortController();
  let group: number | null = null;
  let told: NodeJS.Signals | null = null;
  const deafen = house.hearSignals((name) => {
    told ??= name;
    if (group === null) gone.abort();
    else signalGroup(group, name);
  });
  try {
    const taken = await take(house, wish, token, gone.signal);
    if (told !== null || taken === null) return statusOf(told ?? "SIGTERM");
    const child = await start(command, house.watchOver);
    group = child.pid;
    return await keep(house, wish, token, child, taken);
  } finally {
    deafen();
    await house
      .lend((store) => store.unhold(token))
      .catch((why: unknown) => log.warn("lock not given back", { lock: wish.lock, gone_in_ms: wish.ttl_ms, why }));
  }
}

/** Asks until the lock is ours, and answers when that was asked; null when told to go. */
async function take(house: HoldHouse, wish: HoldWish, token: string, gone: AbortSignal): Promise<number | null> {
  const { clock, lend } = house;
  const { lock, node, ttl_ms, wait_ms } = wish;
  const end = clock.monotonic() + wait_ms;
  for (;;) {
    const asked = clock.monotonic();
    if (await lend((store) => store.hold({ lock, node, token, ttl_ms }))) return asked;
    const left = end - clock.monotonic();
    if (gone.aborted) return null;
    if (left <= 0) {
      const who = await lend((store) => house.whoHolds(store, lock));
      const waited = wait_ms > 0 ? ` for ${humanDuration(wait_ms)}` : "";
      throw new MeshError("later", `lock ${JSON.stringify(lock)} was not free${waited}: ${who}`, {
        hint: wait_ms > 0 ? "try again later" : "--wait 10m waits for it",
      });
    }
    await clock.sleep(Math.min(left, askAgainAfter), gone);
  }
}

interface Child {
  pid: number;
  /** Its exit status, 128 + n where signal n ended it. */
  exited: Promise<number>;
}

/** Starts the command in a group of its own, which goes with us: when we are killed, a shell that waits for us ends it. */
async function start([name = "", ...rest]: string[], watchOver = spawnWatch): Promise<Child> {
  const child = spawn([name, ...rest]);
  let watch: Watch;
  try {
    watch = watchOver(child.pid);
  } catch (cause) {
    // The lock is given back now: nothing may run on that believes to have it.
    signalGroup(child.pid, "SIGKILL");
    await child.exited;
    throw new MeshError(
      "unavailable",
      `the command was ended: nobody could be started to watch over it${codeOf(cause)}`,
      {
        hint: "free processes or file descriptors, then try again",
        cause,
      },
    );
  }
  const exited = child.exited.then(async (code) => {
    signalGroup(child.pid, "SIGKILL"); // whoever of the group is left
    await watch.end();
    return code;
  });
  return { pid: child.pid, exited };
}

interface Watch {
  /** Ends it without its having done anything. */
  end(): Promise<unknown>;
}

function spawnWatch(group: number): Watch {
  // Constant text; the group is an argument.
  const watch = Bun.spawn(["/bin/sh", "-c", 'read -r over || kill -s KILL -- "-$0"', String(group)], {
    stdin: "pipe",
    stdout: "ignore",
    stderr: "ignore",
    detached: true,
  });
  watch.unref();
  return {
    async end() {
      watch.stdin.write("over\n");
      await watch.stdin.end();
      await watch.exited;
    },
  };
}

function spawn(command: string[]) {
  try {
    return Bun.spawn(command, { stdin: "inherit", stdout: "inherit", stderr: "inherit", detached: true });
  } catch (cause) {
    throw unstartable(command[0] ?? "", cause);
  }
}

/** Bun says EACCES also of what is not there. */
function unstartable(name: string, cause: unknown): MeshError {
  const found = name.includes("/") ? existsSync(name) : Bun.which(name) !== null;
  const [says, hint] = found
    ? [`cannot start ${JSON.stringify(name)}${codeOf(cause)}`, "name an executable file, or one on PATH"]
    : [
        `no such program: ${JSON.stringify(name)}`,
        name.includes("/") ? "look at its path" : "nothing on PATH is called so",
      ];
  return new MeshError("usage", says, { hint, cause });
}

const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause ? ` (${String(cause.code)})` : "";

/** Keeps the lock until the command is over, or ends the command; `taken` is when the lock was asked for. */
async function keep(house: HoldHouse, wish: HoldWish, token: string, child: Child, taken: number): Promise<number> {
  const { clock } = house;
  const ended = new AbortController();
  const exited = child.exited.then((code) => {
    ended.abort();
    return code;
  });
  const over = clock.sleep(wish.for_ms, ended.signal).then((): Cut => "over");
  const unkept = renew(house, wish, token, taken, ended.signal);
  let cut = await Promise.race([over, unkept]);
  // The end of the command ends the wait for everything else.
  if (ended.signal.aborted) return await exited;
  const mayTake = (cause: Cut) =>
    cause === "over" ? grace : cause === "fence" ? (wish.ttl_ms - wish.fence_ms) / 2 : 0;
  log.warn("command ended", { lock: wish.lock, why: cut });
  signalGroup(child.pid, "SIGTERM");
  // While it winds up the lock is still renewed, and may still be lost.
  const late = await Promise.race([
    exited.then(() => null),
    clock.sleep(mayTake(cut), ended.signal),
    cut === "over" ? unkept : fired(ended.signal),
  ]);
  if (typeof late === "string") cut = late;
  signalGroup(child.pid, "SIGKILL");
  await exited;
  throw faultOf(cut, wish);
}

/** Renews until the signal fires; says why where the lock cannot be kept. */
async function renew(house: HoldHouse, wish: HoldWish, token: string, taken: number, over: AbortSignal): Promise<Cut> {
  const { clock, lend } = house;
  const { lock, node, ttl_ms, heartbeat_ms, fence_ms } = wish;
  let last = { monotonic: taken, now: clock.now() - (clock.monotonic() - taken) };
  const silent = () => clock.monotonic() - last.monotonic;
  // While the machine slept the monotonic clock stood still: the store is asked at once.
  const due = () => heartbeat_ms - Math.max(silent(), clock.now() - last.now);
  let failing = false;
  for (;;) {
    const rest = Math.min(retryAfter, failing ? retryAfter : due(), fence_ms - silent());
    await clock.sleep(Math.max(0, rest), over);
    if (over.aborted) return await new Promise<never>(() => {});
    if (silent() >= fence_ms) return "fence";
    if (!failing && due() > 0) continue;
    const asked = { monotonic: clock.monotonic(), now: clock.now() };
    const answer = lend((store) => store.hold({ lock, node, token, ttl_ms })).catch((why: unknown) => {
      if (!failing) log.warn("lock not renewed", { lock, why });
      return null;
    });
    const kept = await Promise.race([answer, clock.sleep(Math.max(0, fence_ms - silent()), over).then(() => null)]);
    if (kept === false) return "lost";
    if (kept && failing) log.info("lock renewed again", { lock });
    if (kept) last = asked;
    failing = kept === null;
  }
}

function faultOf(cut: Cut, { lock, for_ms }: HoldWish): MeshError {
  if (cut === "over") {
    return new MeshError(
      "later",
      `the command was ended: its ${humanDuration(for_ms)} with lock ${JSON.stringify(lock)} were over`,
      {
        hint: "give it longer with --for",
      },
    );
  }
  const why = cut === "lost" ? "it had run out, and somebody else has it" : "the store could not be reached";
  return new MeshError("unavailable", `the command was ended: lock ${JSON.stringify(lock)} could not be kept: ${why}`);
}

const statusOf = (signal: NodeJS.Signals): number => 128 + constants.signals[signal];
