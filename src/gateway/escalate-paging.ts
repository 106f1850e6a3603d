import { sha256 } from "../core/intent.ts";
import type { Bucket } from "../core/rate.ts";
import { waitInSlowLane } from "../core/retry.ts";
import { log } from "../log.ts";
import type { Alert } from "../pagers/pager.ts";
import type { AlertRow, Store } from "../stores/store.ts";
import { isFault, isRecoverable, toldIn } from "./escalate-faults.ts";
import type { PagerAt, What } from "./escalate-pagers.ts";
import { type Paged, type PageHands, sendPage } from "./escalate-send.ts";

// What a pager still has to be told follows from the store alone. Beside a fault's own alert there are, per pager, two more:
// `paged/…` is open while people have a page of it, `paging/…` while some gateway is busy telling them; that one says which
// round it is in. Whoever opens `paging/…` has the word; when it fails or dies, somebody takes it over after a while.

export interface PagingOptions {
  store: Pick<Store, "about" | "alert" | "alerts">;
  pool: string;
  pagers: (PagerAt & { bucket: Bucket })[];
  hands: PageHands;
}

export interface Paging {
  /** Starts telling every pager what it has not been told; does not wait for it. */
  settle(rows: Alerts): void;
  /** Tells these from now on, and tries again what failed at those that are others now. */
  use(pagers: PagingOptions["pagers"]): void;
  notes(): string[];
  underWay(): number;
  /** Resolves when nothing is being sent any more. */
  done(): Promise<void>;
}

type Alerts = Map<string, AlertRow>;

/** One thing that one pager is to be told. */
interface Job {
  pager: PagingOptions["pagers"][number];
  key: string;
  what: What;
}

/** A page that did not go out, and the pager as it was then. */
interface Failure {
  pager: string;
  setup: string;
  note: string;
}

// A round of tries ends well before somebody else may take over.
const longestRound = 4 * 60_000;
const takenOverAfter = 5 * 60_000;
const atOnce = 8;

const markOf = (pager: PagerAt, key: string): string => `paged/${pager.name}/${key}`;
const claimOf = (pager: PagerAt, key: string): string => `paging/${pager.name}/${key}`;

/** Sends pages, each to each pager once, whichever gateway does it. */
export function openPaging({ store, pool, hands, ...first }: PagingOptions): Paging {
  let { pagers } = first;
  const underWay = new Map<string, Promise<void>>();
  const failed = new Map<string, Failure>();
  const startedAt = hands.now();

  /** Milliseconds until this claim counts no more; null where it never will. */
  function leftOf(claim: AlertRow, { pager, key }: Job, rows: Alerts): number | null {
    // Its file has one owner: whoever claimed something in a SQLite store before we came is gone.
    if (store.about.kind === "sqlite" && claim.at < startedAt) return 0;
    if (!pager.policy.slow_lane && failed.has(markOf(pager, key))) return null;
    const age = hands.now() - (rows.get(key)?.at ?? 0);
    const wait = waitInSlowLane(roundOf(claim) - 1, age);
    return wait === null ? null : Math.max(wait, takenOverAfter) - (hands.now() - claim.at);
  }

  async function tell(job: Job, claim: AlertRow | undefined): Promise<void> {
    const { pager, key, what } = job;
    const round = claim?.open ? roundOf(claim) + 1 : 1;
    if (claim?.open && !(await store.alert(claimOf(pager, key), "resolve"))) return;
    if (!(await store.alert(claimOf(pager, key), "open", String(round)))) return;
    // What was read before we had the word may be old.
    const rows = new Map((await store.alerts()).map((row) => [row.key, row]));
    const alert = alertOf(rows.get(key), key, pool);
    const outcome = needOf(rows, pager, key) === what && alert ? await send(job, alert, rows) : "needless";
    if (outcome === "done")
      await written(() => store.alert(markOf(pager, key), opens(what), pager.keyId() ?? undefined));
    if (outcome !== "failed") await written(() => store.alert(claimOf(pager, key), "resolve"));
  }

  async function send({ pager, key, what }: Job, alert: Alert, rows: Alerts): Promise<"done" | "failed" | "needless"> {
    const fields = { alert: key, pager: pager.name, what };
    const openedWith = rows.get(markOf(pager, key))?.opened_with ?? null;
    const setup = pager.setup();
    const message = what === "resolve" && !isRecoverable(key) ? null : pager.message(what, alert, openedWith);
    if (!message) return "done";
    if (what === "resolve" && openedWith !== null && !pager.knows(openedWith)) {
      log.warn("page resolved with another key", { ...fields, opened_with: openedWith, key_id: pager.keyId() });
    }
    const paged: Paged | null = await sendPage(message, pager, { bucket: pager.bucket, longest: longestRound }, hands);
    if (!paged) return "needless";
    if (paged.done) {
      failed.delete(markOf(pager, key));
      log.info("page sent", { ...fields, tries: paged.tries });
      return "done";
    }
    // One that was replaced meanwhile is nobody's trouble any more.
    const failure = { pager: pager.name, setup, note: `page failed: ${pager.name}: ${alert.summary}: ${paged.why}` };
    if (isStillSo(failure)) failed.set(markOf(pager, key), failure);
    log.error("page failed", { ...fields, summary: alert.summary, tries: paged.tries, why: paged.why });
    return "failed";
  }

  const isStillSo = ({ pager, setup }: Failure): boolean =>
    pagers.some((one) => one.name === pager && one.setup() === setup);

  /** Writes down what is already done, however long the store is away: a page that was not noted would be sent again. */
  async function written(write: () => Promise<boolean>): Promise<void> {
    for (let faults = 0; ; faults++) {
      try {
        return void (await write());
      } catch (fault) {
        log.warn("page not noted", { faults: faults + 1, why: fault });
        if (hands.stopped.aborted) return;
        await hands.sleep(Math.min(5_000, 50 * 2 ** faults), hands.stopped);
      }
    }
  }

  function start(job: Job, rows: Alerts): void {
    const id = markOf(job.pager, job.key);
    const claim = rows.get(claimOf(job.pager, job.key));
    if (underWay.has(id)) return;
    if (claim?.open) {
      const left = leftOf(claim, job, rows);
      if (left === null || left > 0) return;
    }
    const telling = tell(job, claim)
      .catch((fault: unknown) => log.warn("page put off", { alert: job.key, pager: job.pager.name, why: fault }))
      .finally(() => underWay.delete(id));
    underWay.set(id, telling);
  }

  /** Nothing is left to tell: forgets what failed, and frees a word that nobody keeps. */
  function rest(pager: PagerAt, key: string, rows: Alerts): void {
    const id = markOf(pager, key);
    failed.delete(id);
    const claim = rows.get(claimOf(pager, key));
    if (!claim?.open || underWay.has(id) || hands.now() - claim.at < takenOverAfter) return;
    underWay.set(
      id,
      written(() => store.alert(claim.key, "resolve")).finally(() => underWay.delete(id)),
    );
  }

  return {
    settle(rows) {
      const keys = [...rows.keys()].filter(isFault);
      for (const pager of pagers) {
        for (const key of keys) {
          const what = needOf(rows, pager, key);
          if (what === null) rest(pager, key, rows);
          else if (underWay.size < atOnce * pagers.length) start({ pager, key, what }, rows);
        }
      }
    },
    use(next) {
      pagers = next;
      for (const [id, failure] of failed) if (!isStillSo(failure)) failed.delete(id);
    },
    notes: () => [...failed.values()].map(({ note }) => note),
    underWay: () => underWay.size,
    done: async () => void (await Promise.all(underWay.values())),
  };
}

/** What this pager has yet to be told of this alert, or null. */
function needOf(rows: Alerts, pager: PagerAt, key: string): What | null {
  const wanted = rows.get(key)?.open ?? false;
  const known = rows.get(markOf(pager, key))?.open ?? false;
  return wanted === known ? null : wanted ? "page" : "resolve";
}

const opens = (what: What): "open" | "resolve" => (what === "page" ? "open" : "resolve");

const roundOf = ({ opened_with }: AlertRow): number => Math.max(1, Number.parseInt(opened_with ?? "1", 10) || 1);

const longestKey = 200;

function alertOf(row: AlertRow | undefined, key: string, pool: string): Alert | null {
  if (!row) return null;
  const whole = `meshmac:${pool}:${key}`;
  return { ...toldIn(row), key: whole.length > longestKey ? `meshmac:${pool}:${sha256(key)}` : whole, at: row.at };
}
