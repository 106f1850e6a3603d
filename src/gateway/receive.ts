import { decide } from "../core/decide.ts";
import { MeshError } from "../core/error.ts";
import { isObject, type JsonObject, parseStranger } from "../core/json.ts";
import { Malformed, type Move } from "../core/move.ts";
import type { Mark, Task } from "../core/records.ts";
import type { Deadline } from "../stores/deadline.ts";
import type { Accepted, Store } from "../stores/store.ts";
import { announcesMoreThan, readBody } from "./body.ts";
import { clientOf } from "./client-ip.ts";
import { judgeHeaders, type Locks } from "./credentials.ts";
import type { Delivery } from "./delivery.ts";
import type { Door } from "./door.ts";
import type { FailedTokens } from "./failed-tokens.ts";
import { type Outcome, type Refusal, refused, retryLater, unauthorized } from "./outcome.ts";

/** What all doors of a gateway share. */
export interface Reception {
  locks: Locks;
  store: Pick<Store, "accept">;
  failed: FailedTokens;
  maxBody: number;
  maxInFlight: number;
  /** The time that the store has to take a task; YouTrack hangs up after five seconds. */
  commit: Deadline;
  /** Epoch milliseconds. */
  now: () => number;
  /** Verified deliveries whose body is being read or stored. */
  inFlight: number;
}

/** Takes one delivery from path to store and says what became of it: path, method, size, address, token, and only then the body. */
export async function receive(delivery: Delivery, reception: Reception): Promise<Outcome> {
  const { door, request, ip } = delivery;
  if (request.method !== "POST") return refused(405, "expected POST", { headers: { Allow: "POST" } });
  if (announcesMoreThan(reception.maxBody, request.headers)) return tooLarge(reception.maxBody);
  if (door.allows && !door.allows(ip)) return refused(403, "address not allowed");

  const credentials = judgeHeaders(door, request.headers, reception.locks);
  if ("wrong" in credentials) return mistake(ip, credentials.wrong, reception);
  const { key, signature } = credentials;
  if (key === null && reception.failed.exhausted(clientOf(ip))) return tooManyMistakes("signature not looked at");

  if (reception.inFlight >= reception.maxInFlight) return retryLater("too many deliveries at once", key);
  reception.inFlight++;
  try {
    const body = await readBody(request, reception.maxBody);
    if ("fault" in body) {
      return body.fault === "too large"
        ? tooLarge(reception.maxBody, key)
        : refused(400, "the body was cut off", { key });
    }
    const signed = signature === null ? null : reception.locks.signed(door.token, body.bytes, signature);
    if (signature !== null && signed === null) return mistake(ip, "wrong signature", reception);
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

/** Reads the body of a delivery that has proven where it comes from. */
async function read(delivery: Delivery, bytes: Uint8Array, key: string | null, reception: Reception): Promise<Outcome> {
  const { door, request, correlation_id, seen_at } = delivery;
  if (!isJson(request.headers.get("content-type"))) {
    return refused(415, "expected JSON", { hint: "send Content-Type: application/json", key });
  }
  let move: Move;
  try {
    const seen = door.source.read(parse(bytes, door), request.headers, door.entry);
    if ("ignored" in seen) return { outcome: "ignored", reason: seen.ignored, move: null, key };
    move = seen.move;
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    return refused(400, error.message, { hint: error.hint, key });
  }
  const run_id = Bun.randomUUIDv7();
  const decision = decide(move, door.rules, { source: door.name, run_id, correlation_id, seen_at });
  if ("ignored" in decision) return { outcome: "ignored", reason: decision.ignored, move, key };
  return await store(decision.task, decision.marks, key, reception);
}

const isJson = (contentType: string | null): boolean =>
  contentType !== null &&
  (contentType === "application/json" || /^application\/([\w.-]+\+)?json *(;|$)/i.test(contentType));

const utf8 = new TextDecoder("utf-8", { fatal: true });

function parse(bytes: Uint8Array, door: Door): JsonObject {
  const text = decoded(bytes);
  const body = parsed(text, door.source.badJsonHint ?? "send one JSON object");
  if (!isObject(body)) throw new Malformed("expected a JSON object", "send the issue as one JSON object");
  return body;
}

function decoded(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Malformed("not UTF-8", "send the body in UTF-8");
  }
}

function parsed(text: string, hint: string) {
  try {
    return parseStranger(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : "not valid JSON";
    // The usual cause of a body that does not parse is not that of one that we refuse to take.
    throw new Malformed(why, why === "not valid JSON" ? hint : "send the issue as the tracker has it");
  }
}

/** Stores a task within the deadline. Later it may still be stored: the sender's next try is then a duplicate of that run. */
async function store(task: Task, marks: Mark[], key: string | null, reception: Reception): Promise<Outcome> {
  const from = performance.now();
  let accepted: Accepted;
  try {
    const accepting = reception.store.accept({ task, marks, seen_at: task.accepted_at });
    accepted = await reception.commit.within(accepting, tooLate);
  } catch (error) {
    return retryLater(error instanceof Error ? error.message : "the store failed", key, task);
  }
  const enqueue_ms = Math.round((performance.now() - from) * 100) / 100;
  return { outcome: accepted.status, run_id: accepted.run_id, task, enqueue_ms, key };
}

const tooLate = (): Error => new MeshError("unavailable", "the store did not answer in time");
