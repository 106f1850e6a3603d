import { bucketOf } from "../core/rate.ts";
import { nextWait } from "../core/retry.ts";
import { sendPost } from "../http.ts";
import { log } from "../log.ts";
import type { Claimed, Settlement, Store } from "../stores/store.ts";
import type { Destination, Destinations } from "./destinations.ts";
import { type Send, type Tried, tryPost } from "./send-try.ts";
import { nap, type Sleep, startLoop } from "./stir.ts";

export interface SenderOptions {
  store: Pick<Store, "claim" | "settle" | "stirred">;
  destinations: Destinations;
  /** Hides secrets in a text. */
  mask: (text: string) => string;
  /** Where a `console` chat prints. */
  print: (line: string) => void;
  send?: Send;
  claimId?: () => string;
  now?: () => number;
  sleep?: Sleep;
  /** In [0, 1): spreads retries. */
  chance?: () => number;
  /** How many may be under way, at one destination and in all. */
  atOnce?: { each: number; all: number };
}

export interface Sender {
  /** Claims no more, waits for what is being sent (bounded by its timeout), then resolves. */
  stop(): Promise<void>;
  /** How many posts are being sent now. */
  underWay(): number;
}

const margin = 5_000; // of a claim over the timeout of its try, for the settling
const look = 5_000;
const soonest = 20;

/** Sends the posts that are due, each until it is sent or dead; one slow destination holds no other. Errors of the store are waited out. */
export function startSender(options: SenderOptions): Sender {
  const { store, destinations, sleep = nap, now = Date.now, claimId = () => crypto.randomUUID() } = options;
  const { each, all } = options.atOnce ?? { each: 2, all: 512 };
  const busy = new Map<string, number>();
  const buckets = new Map([...destinations.values()].map(({ name, outbound }) => [name, bucketOf(outbound.rate)]));
  const underWay = new Set<Promise<void>>();
  const stopped = new AbortController();

  const launch = (claimed: Claimed, destination: Destination): void => {
    const { name } = destination;
    busy.set(name, (busy.get(name) ?? 0) + 1);
    buckets.get(name)?.take(now());
    const sending = deliver(claimed, destination, options, stopped.signal).finally(() => {
      busy.set(name, (busy.get(name) ?? 1) - 1);
      underWay.delete(sending);
      loop.wake();
    });
    underWay.add(sending);
  };

  const loop = startLoop("send", { store, sleep }, async () => {
    if (underWay.size >= all) return look;
    const slots = [...destinations.values()].filter(({ name }) => (busy.get(name) ?? 0) < each);
    const waits = new Map(slots.map(({ name }) => [name, buckets.get(name)?.wait(now()) ?? 0]));
    const free = slots.filter(({ name }) => waits.get(name) === 0);
    const soon = Math.min(look, ...[...waits.values()].filter((ms) => ms > 0));
    if (free.length === 0) return soon;
    const ttl = Math.max(...free.map(({ outbound }) => outbound.timeout)) + margin;
    const answer = await store.claim(
      claimId(),
      ttl,
      free.map(({ name }) => name),
    );
    if (answer.post === null) return answer.next_at === null ? soon : clamp(answer.next_at - now(), soonest, soon);
    const destination = destinations.get(answer.post.destination);
    if (destination) launch(answer.post, destination);
    return 0;
  });

  return {
    underWay: () => underWay.size,
    async stop() {
      await loop.stop();
      const longest = Math.max(0, ...[...destinations.values()].map(({ outbound }) => outbound.timeout));
      const bound = new AbortController();
      await Promise.race([Promise.all(underWay), sleep(longest + margin, bound.signal)]);
      bound.abort();
      stopped.abort();
    },
  };
}

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

async function deliver(claimed: Claimed, destination: Destination, options: SenderOptions, stopped: AbortSignal) {
  const { send = sendPost, now = Date.now, chance = Math.random, print, mask } = options;
  const begun = performance.now();
  const tried = await tryPost(claimed, destination, { send, print, mask, now });
  const settlement = settlementOf(claimed, destination, tried, { now: now(), chance: chance() });
  const taken = await settle(settlement, options, stopped);
  tell(claimed, tried, settlement, Math.round(performance.now() - begun));
  if (taken === "stale")
    log.warn("post settled too late", { destination: claimed.destination, run_id: claimed.subject });
}

/** Decides what is written of a try: sent, dead, or when it is due again, and how long the whole destination is left alone. */
export function settlementOf(
  { key, claim, tries, created_at, unsure }: Pick<Claimed, "key" | "claim" | "tries" | "created_at" | "unsure">,
  { policy }: Pick<Destination, "policy">,
  { verdict, handle, why, ...tried }: Tried,
  { now, chance }: { now: number; chance: number },
): Settlement {
  const common = { key, claim, ...(why !== undefined && { why }) };
  if (verdict === "sent") return { ...common, verdict, ...(handle !== undefined && { handle }) };
  if (verdict === "dead") return { ...common, verdict };
  const retryAfterMs = policy.respect_retry_after ? tried.retryAfterMs : 0;
  const pause = retryAfterMs > 0 && { pause_until: now + retryAfterMs };
  const wait = nextWait({ tries, ageMs: now - created_at, retryAfterMs }, policy, chance);
  if (wait === null)
    return { ...common, ...pause, verdict: "dead", why: `given up after ${tries} tries: ${why ?? ""}` };
  return { ...common, ...pause, verdict: "later", due_in_ms: wait, unsure: unsure || tried.unsure };
}

/** Writes it down, however long the store is away: a post that was sent and not settled would be sent again. */
async function settle(settlement: Settlement, { store, sleep = nap }: SenderOptions, stopped: AbortSignal) {
  for (let faults = 0; ; faults++) {
    try {
      return await store.settle(settlement);
    } catch (fault) {
      const why = fault instanceof Error ? fault.message : "unknown";
      log.warn("post not settled", { verdict: settlement.verdict, faults: faults + 1, why });
      if (stopped.aborted) return "stale";
      await sleep(Math.min(5_000, 50 * 2 ** faults), stopped);
    }
  }
}

function tell(claimed: Claimed, { status, place }: Tried, settlement: Settlement, ms: number): void {
  const { destination, state, subject, tries, announcement } = claimed;
  const fields = {
    destination,
    state,
    run_id: subject,
    issue_key: announcement.issue_key,
    status,
    tries,
    ms,
    to: place,
  };
  if (settlement.verdict === "sent") return log.info("post sent", { ...fields, why: settlement.why });
  if (settlement.verdict === "dead") return log.error("post dead", { ...fields, why: settlement.why });
  const { due_in_ms, unsure, why } = settlement;
  log.warn("post delayed", { ...fields, due_in_ms, unsure, why });
}
