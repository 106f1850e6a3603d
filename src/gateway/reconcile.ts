import type { Config } from "../config.ts";
import type { CommentEntry, ReconcileEntry, SourceEntry } from "../config/schema.ts";
import { isOver } from "../core/records.ts";
import { MeshError } from "../core/error.ts";
import { decideMissed, searchRules } from "../core/missed.ts";
import { Malformed, type Move } from "../core/move.ts";
import { sendPost } from "../http.ts";
import { log } from "../log.ts";
import { sources as registered } from "../sources/registry.ts";
import type { Asked, FoundMove } from "../sources/source.ts";
import type { Accepted, Entry, Store } from "../stores/store.ts";
import { type Door, rulesFor } from "./door.ts";
import { every } from "./reap.ts";
import type { Stored } from "./intake.ts";
import type { Send } from "./send-try.ts";

export interface ReconcileOptions {
  config: Config;
  store: Pick<Store, "list">;
  accept(entry: Entry): Promise<Accepted | Stored>;
  send?: Send;
  /** Epoch milliseconds. */
  now?: () => number;
}

/** What a search found of one issue, and what became of it; `missed` is what only a dry run leaves so. */
export interface Reconciled {
  source: string;
  issue_key: string;
  /** When it got where it is, epoch milliseconds. */
  moved_at: number;
  outcome: "queued" | "duplicate" | "stored" | "missed" | "has run" | "ignored";
  run_id: string | null;
  reason: string | null;
}

const day = 86_400_000;
// Within the eight days for which a move that was found once is known again.
const longestBack = 7 * day;
// A webhook may come before the move it tells of is committed, and two clocks differ.
const slack = 60_000;
const mostPages = 400;

/** Searches every tracker that is to be reconciled, at once and then again every period, and queues what was missed, until stopped. Never throws. */
export function startReconciler(options: ReconcileOptions): { stop(): Promise<void> } {
  const loops = searchedDoors(options.config).map((door) =>
    every(door.entry.reconcile.every, "tracker not searched for missed moves", 0, async () => {
      for (const { outcome, source, issue_key, run_id, moved_at } of await reconcile(door, options)) {
        if (outcome !== "queued" && outcome !== "stored") continue;
        log.info("missed move queued", { door: source, outcome, issue_key, run_id, moved_at });
      }
    }),
  );
  return { stop: async () => void (await Promise.all(loops.map((loop) => loop.stop()))) };
}

/** A source whose tracker is searched. */
export interface SearchedDoor extends Pick<Door, "name" | "source" | "rules"> {
  entry: SourceEntry & { reconcile: ReconcileEntry };
}

/** Lists the sources that have `reconcile`. */
export function searchedDoors(config: Config): SearchedDoor[] {
  return Object.entries(config.sources).flatMap(([name, entry]) => {
    const source = registered.find(({ kind }) => kind === entry.kind);
    const { reconcile: searches } = entry;
    if (!source || !searches) return [];
    return [{ name, source, entry: { ...entry, reconcile: searches }, rules: searchRules(rulesFor(entry, config)) }];
  });
}

/**
 * Searches one tracker for issues in the build state, and queues those that have had no run since they got there; with
 * `dryRun` it only says which. What it queues is found again by no search and doubled by no late delivery. Throws
 * `unavailable` or `permission` where the tracker cannot be searched.
 */
export async function reconcile(
  door: SearchedDoor,
  { config, store, accept, send = sendPost, now = Date.now }: ReconcileOptions,
  { dryRun = false } = {},
): Promise<Reconciled[]> {
  const since = now() - Math.min(longestBack, config.keep.runs);
  const done = new Map<string, Reconciled>();
  const found = (await search(door, since, send)).filter(({ at }) => at >= since);
  for (const { at, body } of found.toSorted((one, other) => other.at - one.at)) {
    const move = moveIn(body, door);
    if (!move || (done.get(move.issueKey)?.outcome ?? "ignored") !== "ignored") continue;
    const settled = await settle(move, at);
    // Of several changes of an issue the latest that asks for a build counts; else the latest says why none does.
    if (settled.outcome !== "ignored" || !done.has(move.issueKey)) done.set(move.issueKey, settled);
  }
  return [...done.values()];

  async function settle(move: Move, at: number): Promise<Reconciled> {
    const issue_key = move.issueKey;
    const said = { source: door.name, issue_key, moved_at: at, run_id: null, reason: null };
    const run_id = Bun.randomUUIDv7();
    const given = { source: door.name, run_id, correlation_id: Bun.randomUUIDv7(), seen_at: now() };
    const decision = decideMissed(move, at, door.rules, given);
    if (!("task" in decision)) {
      return { ...said, outcome: "ignored", reason: "ignored" in decision ? decision.ignored : decision.why };
    }
    const { runs } = await store.list({ source: door.name, issue_key, since: at - slack, limit: 1 });
    const [run] = runs;
    if (run) return { ...said, outcome: "has run", run_id: run.run_id, reason: isOver(run.state) ? run.state : null };
    if (dryRun) return { ...said, outcome: "missed" };
    const { task, marks } = decision;
    const accepted = await accept({ task, marks, seen_at: given.seen_at });
    return { ...said, outcome: accepted.status, run_id: "run_id" in accepted ? accepted.run_id : run_id };
  }
}

function moveIn(body: FoundMove["body"], { source, entry }: SearchedDoor): Move | null {
  try {
    const seen = source.read(body, new Headers(), entry);
    return "move" in seen ? seen.move : null;
  } catch (error) {
    if (error instanceof Malformed) return null;
    throw error;
  }
}

/** Reads every page of a search. */
async function search({ name, source, entry }: SearchedDoor, since: number, send: Send): Promise<FoundMove[]> {
  const { search: how } = source;
  const account = accountOf(entry);
  if (!how || !account) throw new MeshError("bug", `source ${JSON.stringify(name)} cannot be searched`);
  const asked: Asked<CommentEntry | ReconcileEntry> = { account, query: entry.reconcile.query, since };
  const moves: FoundMove[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < mostPages; page++) {
    const answer = await send(how.find(asked, cursor), account);
    if ("failure" in answer) throw unsearched(name, answer.failure.why);
    const { reply, place } = answer;
    if (reply.status < 200 || reply.status > 299) throw refusedSearch(name, place, reply.status);
    const read = how.read(reply, cursor);
    if (!read) throw unsearched(name, `${place} answered what is no list of issues, or one that is too long`);
    moves.push(...read.moves);
    if (read.next === null || read.next === cursor) return moves;
    cursor = read.next;
  }
  throw unsearched(name, `it goes on after ${mostPages} pages; narrow the query`);
}

const accountOf = ({ comment, reconcile }: SearchedDoor["entry"]) =>
  reconcile.token === undefined ? comment : reconcile;

const unsearched = (source: string, why: string): MeshError =>
  new MeshError("unavailable", `sources.${source}.reconcile: ${why}`);

function refusedSearch(source: string, place: string, status: number): MeshError {
  const refusals: Record<number, string> = {
    400: "the tracker does not understand the query: try it in the tracker's own search",
    401: "the token is wrong, expired, or of another site",
    403: "the account may not read these issues",
    404: "check the site, and whether the token needs base_url",
  };
  const hint = Object.hasOwn(refusals, status) ? refusals[status] : undefined;
  return new MeshError(
    status === 401 || status === 403 ? "permission" : "unavailable",
    `sources.${source}.reconcile: ${place} answered status ${status}`,
    { ...(hint !== undefined && { hint }) },
  );
}
