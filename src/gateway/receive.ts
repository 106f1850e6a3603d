import { debounceOf } from "../core/debounce.ts";
import type { Move } from "../core/move.ts";
import type { Report } from "../core/records.ts";
import { proofOf } from "../core/verify.ts";
import type { Entry } from "../stores/store.ts";
import { announcesMoreThan, readBody } from "./body.ts";
import { clientOf } from "./client-ip.ts";
import { type DoorLocks, judgeHeaders } from "./credentials.ts";
import type { Delivery } from "./delivery.ts";
import type { FailedTokens } from "./failed-tokens.ts";
import type { Intake } from "./intake.ts";
import { type Outcome, type Refusal, refused, retryLater, unauthorized } from "./outcome.ts";
import { readingOf } from "./reading.ts";

type Taker = Pick<Intake, "accept" | "report" | "withdraw">;

/** What all doors of a gateway share. */
export interface Reception {
  locks: DoorLocks;
  intake: Taker;
  /** Where canaries end: answered as the intake would, and nothing kept. */
  canaries: Taker;
  failed: FailedTokens;
  maxBody: number;
  maxInFlight: number;
  /** Epoch milliseconds. */
  now: () => number;
  /** Verified deliveries whose body is being read or stored. */
  inFlight: number;
}

/** Takes one delivery from path to store and says what became of it: path, method, size, address, token, and only then the body. */
export function receive(delivery: Delivery, reception: Reception): Promise<Outcome> {
  const outcome = received(delivery, reception);
  return delivery.door.source.neverRefuse ? outcome.then(withoutRefusal) : outcome;
}

/** Ignores what an authentic sender is not to be refused; but what was not stored must not look as if it were. */
function withoutRefusal(outcome: Outcome): Outcome {
  if (outcome.outcome !== "refused" || !outcome.verified || outcome.status >= 500) return outcome;
  return { outcome: "ignored", reason: outcome.cause, move: null, key: outcome.key };
}

async function received(delivery: Delivery, reception: Reception): Promise<Outcome> {
  const { door, request, ip } = delivery;
  if (request.method !== "POST") return refused(405, "expected POST", { headers: { Allow: "POST" } });
  const huge = announcesMoreThan(reception.maxBody, request.headers);
  if (huge && !door.source.neverRefuse) return tooLarge(reception.maxBody);
  const admission = door.allows?.(ip);
  if (admission === "refused") return refused(403, "address not allowed");
  if (admission === "unknown") return retryLater("the sender's addresses are not known yet", null);

  // A probe with the staged value is no proof that the sender has moved over to it.
  const locks = delivery.canary ? reception.locks.uncounted : reception.locks;
  const credentials = judgeHeaders(door, request.headers, locks, reception.now());
  if ("wrong" in credentials) return mistake(ip, credentials.wrong, reception);
  const { key, claim } = credentials;
  if (huge) return tooLarge(reception.maxBody, key);
  // A signature is looked at however many wrong ones came: strangers share a tracker's addresses and must not shut out its others.

  if (reception.inFlight >= reception.maxInFlight) return retryLater("too many deliveries at once", key);
  reception.inFlight++;
  try {
    const body = await readBody(request, reception.maxBody);
    if ("fault" in body) {
      return body.fault === "too large"
        ? tooLarge(reception.maxBody, key)
        : refused(400, "the body was cut off", { key });
    }
    const signed = claim && locks.signed(door.token, proofOf(claim, body.bytes));
    if (claim && signed === null) return mistake(ip, "wrong signature", reception);
    return await read(delivery, body.bytes, key ?? signed, reception);
  } finally {
    reception.inFlight--;
  }
}

function mistake(ip: string, cause: string, { failed }: Reception): Refusal {
  return failed.take(clientOf(ip)) ? unauthorized(cause) : tooManyMistakes(cause);
}

const tooManyMistakes = (cause: string): Refusal =>
  refused(429, "too many wrong tokens from this address", { cause, headers: { "Retry-After": "1" } });

const tooLarge = (limit: number, key?: string | null): Refusal =>
  refused(413, "body too large", { hint: `at most ${limit} bytes (gateway.max_body)`, key });

/** Reads the body of a delivery that has proven where it comes from, and stores what it asks for; of a canary, only says what it would have stored. */
async function read(delivery: Delivery, bytes: Uint8Array, key: string | null, reception: Reception): Promise<Outcome> {
  const { door, request, correlation_id, seen_at, canary } = delivery;
  const given = { source: door.name, run_id: Bun.randomUUIDv7(), correlation_id, seen_at };
  const reading = readingOf(door, bytes, request.headers, given);
  if ("refused" in reading) return refused(reading.status, reading.refused, { hint: reading.hint, key });
  if ("ignored" in reading) {
    const { ignored: reason, callOff, move } = reading;
    if (callOff === undefined || move === null || canary) return { outcome: "ignored", reason, move, key };
    return await endWaiting({ why: callOff, reason, move }, delivery, key, reception.intake);
  }
  const intake = canary ? reception.canaries : reception.intake;
  if ("report" in reading) return await hand(reading.report, delivery, key, intake);
  if ("withdraw" in reading) return await takeBack(reading, delivery, key, intake);
  const { debounce } = door.rules;
  const { task, marks } = reading;
  const entry = { task, marks, seen_at: task.accepted_at, ...(debounce && { debounce: debounceOf(debounce) }) };
  return await store(entry, key, intake);
}

/** Stores a task, or keeps it for the store. One that neither took in time may still be stored: the sender's next try is then a duplicate of that run. */
async function store(entry: Entry, key: string | null, intake: Taker): Promise<Outcome> {
  const { task } = entry;
  const from = performance.now();
  let accepted: Awaited<ReturnType<Intake["accept"]>>;
  try {
    accepted = await intake.accept(entry);
  } catch (error) {
    return retryLater(error instanceof Error ? error.message : "the store failed", key, task);
  }
  if (accepted.status === "stored") return { outcome: "stored", task, key };
  const enqueue_ms = Math.round((performance.now() - from) * 100) / 100;
  return { outcome: accepted.status, run_id: accepted.run_id, task, enqueue_ms, key };
}

/** Ends what waits of an issue that is no longer to be built, and says which runs these were. */
async function takeBack(
  { withdraw: issue_key, why, move }: { withdraw: string; why: string; move: Move },
  { door, seen_at, correlation_id }: Delivery,
  key: string | null,
  intake: Taker,
): Promise<Outcome> {
  try {
    const ended = await intake.withdraw({ source: door.name, issue_key, why, seen_at, correlation_id });
    if ("status" in ended) return { outcome: "stored", task: null, key };
    const reason =
      ended.length > 0 ? `cancelled run ${ended.join(", ")}` : "cancel_when matched, and no run was queued";
    return { outcome: "ignored", reason, move, key };
  } catch (error) {
    return retryLater(error instanceof Error ? error.message : "the store failed", key);
  }
}

/** Ends the run that waits for a later move of an issue, which this one is and asks for no build. */
async function endWaiting(
  { why, reason, move }: { why: string; reason: string; move: Move },
  { door, seen_at, correlation_id }: Delivery,
  key: string | null,
  intake: Taker,
): Promise<Outcome> {
  const unwanted = { source: door.name, issue_key: move.issueKey, why, debounced: true as const };
  try {
    const ended = await intake.withdraw({ ...unwanted, seen_at, correlation_id });
    if ("status" in ended) return { outcome: "stored", task: null, key };
    const said = ended.length > 0 ? `cancelled run ${ended.join(", ")}: ${reason}` : reason;
    return { outcome: "ignored", reason: said, move, key };
  } catch (error) {
    return retryLater(error instanceof Error ? error.message : "the store failed", key);
  }
}

/** Hands in the finished build that a delivery tells of, or keeps it for the store; a repeat is said to be one, and announced no second time. */
async function hand(report: Report, delivery: Delivery, key: string | null, intake: Taker): Promise<Outcome> {
  try {
    const word = await intake.report(report, delivery);
    return { outcome: word === "seen" ? "duplicate" : "stored", report, key };
  } catch (error) {
    return retryLater(error instanceof Error ? error.message : "the store failed", key);
  }
}
