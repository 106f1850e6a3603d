import { appendFileSync, existsSync, readFileSync } from "node:fs";
import type { Held } from "../../src/stores/store.ts";

// What scripts say of themselves, from outside: one line each for a start, every tenth of a second and an end, in the
// order in which they were appended. Times are seconds since boot, which no clock change moves.

export interface Said {
  run_id: string;
  attempt: number;
  node: string;
  what: "start" | "beat" | "end";
  uptime: number;
}

/**
 * A time in which nobody watched over the scripts of a node: its worker was dead (until another had started) or stood still.
 * Where the machine had no time for a timer that was due, that goes for every node (null).
 */
export interface Unwatched {
  node: string | null;
  why: "killed" | "frozen" | "starved";
  from: number;
  to: number;
}

/** What a store said of one attempt while it was leased. */
export interface Leased {
  node: string;
  /** Epoch milliseconds, by a clock that is right. */
  started_at: number;
}

/** Seconds since boot, as scripts read them too. */
export const uptime = (): number => Number(readFileSync("/proc/uptime", "latin1").split(" ")[0]);

/**
 * A script that writes the ledger. How long it takes follows from its issue: most a few beats, some (`isLong`) for
 * longer than any lease that nobody renews. Every third leaves something running outside its group and session.
 */
export const scriptFor = (ledger: string): string =>
  [
    "#!/bin/sh",
    `say() { read -r up rest </proc/uptime; echo "$MESHMAC_RUN_ID $MESHMAC_ATTEMPT $MESHMAC_NODE_ID $1 $up" >>"${ledger}"; }`,
    "say start",
    "n=${MESHMAC_ISSUE_KEY#MOB-}",
    `[ $((n % 3)) = 0 ] && setsid sh -c 'trap "" TERM HUP; sleep 600' >/dev/null 2>&1 &`,
    "beats=$((n % 5 + 1))",
    `[ $((n % 4)) = 0 ] && [ "$MESHMAC_ATTEMPT" = 1 ] && beats=54`,
    'while [ "$beats" -gt 0 ]; do sleep 0.1; say beat; beats=$((beats - 1)); done',
    'echo "summary=attempt $MESHMAC_ATTEMPT" >"$MESHMAC_RESULT_FILE"',
    "say end",
    "",
  ].join("\n");

/** Whether the script of this attempt takes some five seconds. */
export const isLong = (issue_key: string, attempt: number): boolean =>
  Number(issue_key.split("-")[1]) % 4 === 0 && attempt === 1;

export function readLedger(file: string): Said[] {
  if (!existsSync(file)) appendFileSync(file, "");
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [run_id = "", attempt, node = "", what, at] = line.split(" ");
      if (what !== "start" && what !== "beat" && what !== "end") throw new Error(`not a line of the ledger: ${line}`);
      return { run_id, attempt: Number(attempt), node, what, uptime: Number(at) };
    });
}

// /proc/uptime counts hundredths.
const tick = 0.02;

/**
 * Finds scripts that went on after a later attempt of their run had begun, although their worker was there to end them: it
 * held their lease to be valid when it was another's.
 */
export function overlaps(ledger: Said[], unwatched: Unwatched[]): string[] {
  const latest = new Map<string, number>();
  const found = new Map<string, string>();
  for (const { run_id, attempt, node, what, uptime: at } of ledger) {
    const newest = latest.get(run_id) ?? 0;
    latest.set(run_id, Math.max(newest, attempt));
    const nobodyWatched = unwatched.some(
      (time) => (time.node === node || time.node === null) && at >= time.from - tick && at <= time.to + tick,
    );
    if (attempt < newest && !nobodyWatched)
      found.set(`${run_id} ${attempt}`, `attempt ${attempt} on ${node} said ${what} after attempt ${newest} began`);
  }
  return [...found.values()];
}

/**
 * Finds runs that were leased again before the lease before was over. It may be over early where its worker gave it up
 * (`givenUp`), or was killed and had started anew.
 */
export function leasedTwice(
  leases: Map<string, Map<number, Leased>>,
  ttl_ms: number,
  givenUp: (held: Held, node: string, from: number, to: number) => boolean,
): { found: string[]; looked: number } {
  const found: string[] = [];
  let looked = 0;
  for (const [run_id, attempts] of leases) {
    for (const [attempt, { node, started_at }] of attempts) {
      const next = attempts.get(attempt + 1);
      if (!next) continue;
      looked++;
      const after = next.started_at - started_at;
      if (after < ttl_ms && !givenUp({ run_id, attempt }, node, started_at, next.started_at))
        found.push(`${run_id}: attempt ${attempt + 1} on ${next.node}, ${after} ms after ${attempt} on ${node}`);
    }
  }
  return { found, looked };
}
