import { bucketOf } from "../core/rate.ts";
import { nextWait } from "../core/retry.ts";
import { sendPost } from "../http.ts";
import { log } from "../log.ts";
import { gateOf } from "../stores/gate.ts";
import type { Claimed, NewPost, Settled, Settlement, Store } from "../stores/store.ts";
import { postKey } from "./announce.ts";
import { healthOf, type Openings } from "./circuit.ts";
import type { Destination, Destinations } from "./destinations.ts";
import { type Send, type Tried, tryPost } from "./send-try.ts";
import { nap, type Sleep, startLoop } from "./stir.ts";

export interface SenderOptions {
  store: Pick<Store, "claim" | "settle" | "stirred"> & Partial<Pick<Store, "reconsider">>;
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
  /** Milliseconds of a claim over the timeout of its try, for the settling. */
  margin?: number;
  /** When circuits open, and for how long. */
  openings?: Openings;
}

export interface Sender {
  /** Claims no more, waits for what is being sent (bounded by its timeout), then resolves. */
  stop(): Promise<void>;
  /** How many posts are being sent now. */
  underWay(): number;
  /** Sends to these from now on; a post under way ends with what it began with. */
  use(destinations: Destinations): void;
}

const look = 5_000;
const soonest = 20;
const widest = 16;

/** Sends the posts that are due, each until it is sent or dead; one slow destination holds no other. Errors of the store are waited out. */
export function startSender(options: SenderOptions): Sender {
  const { store, sleep = nap, now = Date.now, claimId = () => crypto.randomUUID(), margin = 5_000 } = options;
  const { each, all } = options.atOnce ?? { each: 1, all: 512 };
  let { destinations } = options;
  let gates = gatesOf(destinations);
  let rates = ratesOf(gates);
  let buckets = new Map([...rates].map(([gate, rate]) => [gate, bucketOf(rate)]));
  const busy = new Map<string, number>();
  const underWay = new Set<Promise<void>>();
  const stopped = new AbortController();
  const reconsider = reconsidering(options);
  let longest = longestOf(destinations);
  let width = 1;

  const launch = (claimed: Claimed, destination: Destination | undefined): void => {
    if (!destination) return;
    const gate = gateOf(claimed.destination);
    busy.set(gate, (busy.get(gate) ?? 0) + 1);
    buckets.get(gate)?.take(now());
    const sending = deliver(claimed, destination, options, stopped.signal).finally(() => {
      busy.set(gate, (busy.get(gate) ?? 1) - 1);
      underWay.delete(sending);
      loop.wake();
    });
    underWay.add(sending);
  };

  /** Claims one post of each share, and answers when there may be one for those that got none. No two shares have a gate in common. */
  const claimOf = async (shares: string[][]): Promise<(number | null)[]> => {
    // What is claimed for one of these is sent to it, whatever is used by then.
    const known = destinations;
    const claims = shares.map(async (gatesOfShare) => {
      const asked = gatesOfShare.flatMap((gate) => gates.get(gate) ?? []);
      const ttl = Math.max(...asked.map(({ outbound }) => outbound.timeout)) + margin;
      const answer = await store.claim(
        claimId(),
        ttl,
        asked.map(({ name }) => name),
      );
      if (answer.post === null) return [answer.next_at];
      launch(answer.post, known.get(answer.post.destination));
      return [];
    });
    const answers = await Promise.allSettled(claims);
    const failed = answers.find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") throw failed.reason;
    return answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  };

  const loop = startLoop("send", { store, sleep }, async () => {
    await reconsider(destinations);
    if (underWay.size >= all) return look;
    const slots = [...gates.keys()].filter((gate) => (busy.get(gate) ?? 0) < each);
    const waits = new Map(slots.map((gate) => [gate, buckets.get(gate)?.wait(now()) ?? 0]));
    const free = slots.filter((gate) => waits.get(gate) === 0);
    const soon = Math.min(look, ...[...waits.values()].filter((ms) => ms > 0));
    if (free.length === 0) return soon;
    const shares = split(free, Math.min(width, all - underWay.size));
    const empty = await claimOf(shares);
    // As wide as there is to send: an idle gateway asks once, a busy one for many at a time.
    width = empty.length === 0 ? Math.min(widest, width * 2) : Math.max(1, shares.length - empty.length);
    if (empty.length < shares.length) return 0;
    const times = empty.filter((at) => at !== null);
    return times.length === 0 ? soon : clamp(Math.min(...times) - now(), soonest, soon);
  });

  return {
    underWay: () => underWay.size,
    use(next) {
      const before = rates;
      destinations = next;
      longest = Math.max(longest, longestOf(next));
      gates = gatesOf(next);
      rates = ratesOf(gates);
      const kept = (gate: string) => (before.get(gate) === rates.get(gate) ? buckets.get(gate) : undefined);
      buckets = new Map([...rates].map(([gate, rate]) => [gate, kept(gate) ?? bucketOf(rate)]));
      loop.wake();
    },
    async stop() {
      await loop.stop();
      const bound = new AbortController();
      await Promise.race([Promise.all(underWay), sleep(longest + margin, bound.signal)]);
      bound.abort();
      stopped.abort();
    },
  };
}

/** The longest that a try may take, in milliseconds. */
const longestOf = (destinations: Destinations): number =>
  Math.max(0, ...[...destinations.values()].map(({ outbound }) => outbound.timeout));

const gatesOf = (destinations: Destinations): Map<string, Destination[]> =>
  Map.groupBy(destinations.values(), ({ name }) => gateOf(name));

const ratesOf = (gates: Map<string, Destination[]>): Map<string, string | undefined> =>
  new Map([...gates].map(([gate, [first]]) => [gate, first?.outbound.rate]));

/** Deals these out into so many shares, as even as can be. */
function split(items: string[], count: number): string[][] {
  const shares = Array.from({ length: Math.min(count, items.length) }, (): string[] => []);
  for (const [n, item] of items.entries()) shares[n % shares.length]?.push(item);
  return shares;
}

/** Makes what tells the store of destinations whose options or secrets changed, so that a closed one is tried at once. */
function reconsidering({ store, now = Date.now }: SenderOptions): (destinations: Destinations) => Promise<void> {
  const told = new Map<string, string>();
  let looked = Number.NEGATIVE_INFINITY;
  return async (destinations) => {
    if (!store.reconsider || Math.abs(now() - looked) < look) return;
    const changed = [...destinations.values()]
      .map(({ name, setup }) => [name, setup?.() ?? ""] as const)
      .filter(([name, setup]) => gateOf(name) === name && setup !== "" && told.get(name) !== setup);
    if (changed.length > 0) await store.reconsider(Object.fromEntries(changed));
    for (const [name, setup] of changed) told.set(name, setup);
    looked = now();
  };
}

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

async function deliver(claimed: Claimed, destination: Destination, options: SenderOptions, stopped: AbortSignal) {
  const { send = sendPost, now = Date.now, chance = Math.random, print, mask } = options;
  const begun = performance.now();
  // Before the try: what changes meanwhile has not been tried.
  const setup = destination.setup?.() ?? "";
  const tried = await tryPost(claimed, destination, { send, print, mask, now });
  const settled = settlementOf(claimed, destination, tried, { now: now(), chance: chance() });
  const settlement = { ...settled, ...besides(claimed, { ...destination, setup }, tried, options.openings) };
  const taken = await settle(settlement, options, stopped);
  tell(claimed, tried, settlement, Math.round(performance.now() - begun));
  tellTurn(taken, claimed, tried);
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

/** What else is written of a try: a sign of the destination's health, that a message was changed, and the answer under it. */
function besides(
  { announcement, subject, state, handle, tries }: Claimed,
  { setup, follow, policy }: Pick<Destination, "follow" | "policy"> & { setup: string },
  { verdict, sign, edited = false, ...tried }: Tried,
  openings: Openings | undefined,
): Pick<Settlement, "health" | "edited"> & { follow?: NewPost & { handle: string } } {
  const thread = tried.handle ?? handle;
  const answer =
    follow !== undefined && verdict === "sent" && edited && thread !== null && (state === "failed" || state === "dead");
  return {
    ...(sign && { health: healthOf(sign, setup, tries < policy.max_attempts, openings) }),
    ...(edited && { edited }),
    ...(answer && {
      follow: { key: postKey(subject, state, follow), destination: follow, announcement, handle: thread },
    }),
  };
}

/** Writes it down, however long the store is away: a post that was sent and not settled would be sent again. */
async function settle(
  settlement: Settlement,
  { store, sleep = nap }: SenderOptions,
  stopped: AbortSignal,
): Promise<Settled> {
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

/** Says what the settlement did beside the post's own fate. A refusal that opened the circuit was said with its dead post. */
function tellTurn(taken: Settled, { destination, subject }: Claimed, { place, sign, why }: Tried): void {
  if (taken === "stale") log.warn("post settled too late", { destination, run_id: subject });
  if (taken === "opened" && sign === "failed") log.warn("circuit opened", { destination, to: place, why });
  if (taken === "closed") log.info("circuit closed", { destination, to: place });
}

function tell(claimed: Claimed, { status, place, sign }: Tried, settlement: Settlement, ms: number): void {
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
  if (settlement.verdict === "dead") {
    return log.error("post dead", { ...fields, why: settlement.why, ...(sign === "refused" && { circuit: "open" }) });
  }
  const { due_in_ms, unsure, why } = settlement;
  log.warn("post delayed", { ...fields, due_in_ms, unsure, why });
}
