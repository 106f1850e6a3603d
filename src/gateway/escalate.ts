import type { Config } from "../config.ts";
import { bucketOf } from "../core/rate.ts";
import { sendPost } from "../http.ts";
import { log } from "../log.ts";
import type { AlertRow, Store } from "../stores/store.ts";
import { type Circumstances, faultsIn, isFault, isOver, type Looked } from "./escalate-faults.ts";
import { hasSender } from "./senders.ts";
import { openPaging } from "./escalate-paging.ts";
import type { PagerAt } from "./escalate-pagers.ts";
import type { Send } from "./send-try.ts";
import { nap, type Sleep } from "./stir.ts";

/** What the configuration says of paging. */
export interface Plan {
  config: Pick<Config, "pool" | "escalate_after"> & { node: { id: string } };
  pagers: PagerAt[];
  /** The destinations that are configured. */
  destinations: { keys(): Iterable<string> };
  /** Where the pages of runs are, or null. */
  adminUrl: string | null;
}

export interface EscalationOptions extends Plan {
  store: Pick<Store, "about" | "alert" | "alerts" | "destinations" | "gateways" | "list" | "unheard">;
  /** A standby leaves paging to the gateways that send, and looks only while none of them is alive. */
  standby?: boolean;
  /** Hides secrets in a text. */
  mask: (text: string) => string;
  /** Where a page to a `console` chat goes. */
  print: (line: string) => void;
  send?: Send;
  now?: () => number;
  sleep?: Sleep;
  /** In [0, 1): spreads retries. */
  chance?: () => number;
}

export interface Escalation {
  /** What people must know of paging itself: the pages that could not be sent. */
  notes(): string[];
  /** How often it has looked, and how many pages are being sent now. */
  looks(): number;
  underWay(): number;
  /** Looks and pages by this from now on; a page that is being sent ends as it began. */
  use(plan: Plan): void;
  /** Looks no more; a page that is being sent is waited for, one that waits for its next try is left to whoever comes next. */
  stop(): Promise<void>;
}

const longestLook = 5_000;
const shortestLook = 250;
const mostStates = 200;
// What fell overdue while no gateway ran is sent first, and paged when that does not help.
const longestGrace = 30_000;

/**
 * Calls a human where chat and tracker have failed: opens an alert per fault, pages it once at every pager until it is
 * resolved, takes it back on recovery. What is to be paged is kept in the store, so it survives us. Errors of the store are waited out.
 */
export function startEscalation(options: EscalationOptions): Escalation {
  const { store, mask, print } = options;
  const { standby = false, send = sendPost, now = Date.now, sleep = nap, chance = Math.random } = options;
  const over = new AbortController();
  let plan: Plan = options;
  const paging = openPaging({
    store,
    pool: plan.config.pool,
    pagers: withBuckets(plan.pagers),
    hands: { send, print, mask, now, sleep, chance, stopped: over.signal },
  });
  const startedAt = now();
  let senderSeen = startedAt;
  let looks = 0;
  let failing = false;

  async function look(): Promise<void> {
    if (standby && (await hasSender(store))) {
      senderSeen = now();
      return;
    }
    const { config, pagers, destinations, adminUrl } = plan;
    const looked = await readStore(store, config.escalate_after);
    const given: Circumstances = {
      now: now(),
      standby,
      nobodySends: standby && now() - senderSeen >= config.escalate_after,
      settling: now() - startedAt < Math.min(longestGrace, config.escalate_after),
      escalate_after: config.escalate_after,
      node: config.node.id,
      known: new Set(destinations.keys()),
      adminUrl,
      mask,
    };
    for (const [key, told] of faultsIn(looked, given)) {
      if (!(await store.alert(key, "open", JSON.stringify(told)))) continue;
      const fields = { alert: key, summary: told.summary, severity: told.severity };
      if (pagers.length === 0) log.error("page had no pager", fields);
      else log.error("alert opened", { ...fields, pagers: pagers.map(({ name }) => name) });
    }
    for (const row of looked.alerts.values()) {
      if (!row.open || !isFault(row.key) || !isOver(row, looked, given)) continue;
      if (await store.alert(row.key, "resolve")) log.info("alert resolved", { alert: row.key });
    }
    paging.settle(await readAlerts(store));
  }

  async function run(): Promise<void> {
    while (!over.signal.aborted) {
      try {
        await look();
        failing = false;
      } catch (fault) {
        if (!failing) log.warn("faults not looked for", { why: fault });
        failing = true;
      }
      looks++;
      await sleep(lookEvery(plan), over.signal);
    }
  }

  const ended = run();
  return {
    notes: () => paging.notes(),
    looks: () => looks,
    underWay: () => paging.underWay(),
    use(next) {
      plan = next;
      paging.use(withBuckets(next.pagers));
    },
    async stop() {
      over.abort();
      await ended;
      await paging.done();
    },
  };
}

const lookEvery = ({ config }: Plan): number =>
  Math.min(longestLook, Math.max(shortestLook, config.escalate_after / 2));

const withBuckets = (pagers: PagerAt[]) => pagers.map((pager) => ({ ...pager, bucket: bucketOf(pager.outbound.rate) }));

async function readStore(store: EscalationOptions["store"], age: number): Promise<Looked> {
  const [alerts, unheard, destinations, { runs: dead }] = await Promise.all([
    readAlerts(store),
    store.unheard(age, mostStates),
    store.destinations(),
    store.list({ states: ["dead"], dropped: false, limit: mostStates }),
  ]);
  const moreDead = dead.length >= mostStates;
  return { alerts, unheard, more: unheard.length >= mostStates, destinations, dead, moreDead };
}

/** Every alert by its key. */
async function readAlerts(store: Pick<Store, "alerts">): Promise<Map<string, AlertRow>> {
  return new Map((await store.alerts()).map((row) => [row.key, row]));
}
