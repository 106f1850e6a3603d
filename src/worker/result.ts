import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { MeshError } from "../core/error.ts";
import { longestResultFile, readResultFile, type ResultFile } from "../core/result-file.ts";
import type { Result } from "../core/records.ts";
import { log } from "../log.ts";
import type { Held } from "../stores/store.ts";
import { Backoff } from "./clock.ts";
import type { House } from "./house.ts";
import type { Ended } from "./script.ts";

const longestCall = 10_000;

/** What an attempt came to, before it is written as the store's record. */
export interface Outcome {
  state: Result["state"];
  reason: string | null;
  ended: Ended | null;
  started_at: number;
  /** Now, where it never began. */
  ended_at?: number;
  said?: ResultFile;
  tail?: string[];
  failing_target?: string | null;
}

/** Says how a script that ended by itself did: exit 0 succeeded, anything else failed. */
export function outcomeOf({ code, signal }: Ended): Pick<Outcome, "state" | "reason"> {
  if (signal !== null) return { state: "failed", reason: `killed by ${signal}` };
  if (code === 0) return { state: "succeeded", reason: null };
  return { state: "failed", reason: `exit status ${code}` };
}

/** Writes an outcome as the record that `finish` takes; every text in it is masked. */
export function resultOf(house: House, held: Held, outcome: Outcome): Result {
  const hidden = (text: string | null | undefined) => (text === null || text === undefined ? null : house.mask(text));
  const { said, ended } = outcome;
  return {
    ...held,
    state: outcome.state,
    mesh_node_id: house.node.id,
    reason: hidden(outcome.reason),
    commit: hidden(said?.commit),
    failing_target: outcome.state === "failed" ? hidden(said?.failing_target ?? outcome.failing_target) : null,
    summary: hidden(said?.summary),
    run_url: hidden(said?.run_url),
    started_at: outcome.started_at,
    finished_at: outcome.ended_at ?? house.clock.now(),
    exit_code: ended?.code ?? null,
    log_tail: outcome.tail ?? [],
  };
}

/** Reads what the script wrote to its result file; no file, or one that is not a regular file of at most 64 KiB, says nothing. */
export async function readResult(path: string): Promise<ResultFile> {
  try {
    // The script may have put a link or a pipe there: neither is followed, neither blocks.
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const { size } = await file.stat().then((stat) => (stat.isFile() ? stat : { size: Infinity }));
      return readResultFile(size <= longestResultFile ? await file.readFile("utf8") : "");
    } finally {
      await file.close();
    }
  } catch {
    return readResultFile("");
  }
}

/** Says the result until the store has answered, or until `giveUp` says that there is no use. */
export async function finish(
  house: House,
  result: Result,
  giveUp: (tries: number) => boolean,
): Promise<"ok" | "stale" | "unreached"> {
  const { store, clock, chance } = house;
  const backoff = new Backoff();
  const fields = { run_id: result.run_id, attempt: result.attempt };
  for (let tries = 1; ; tries++) {
    const answered = new AbortController();
    try {
      const overdue = clock.sleep(longestCall, answered.signal).then(() => null);
      const answer = await Promise.race([store.finish(result), overdue]);
      if (answer !== null) return answer;
    } catch (cause) {
      // What the store cannot read now it will not read later.
      const refused = cause instanceof MeshError && (cause.kind === "data" || cause.kind === "usage");
      if (refused) log.error("result refused", { ...fields, cause });
      else if (tries === 1) log.warn("result not stored", { ...fields, cause });
      if (refused) return "unreached";
    } finally {
      answered.abort();
    }
    if (giveUp(tries)) return "unreached";
    await clock.sleep(backoff.next(chance()));
  }
}
