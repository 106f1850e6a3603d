import type { Json } from "../core/json.ts";
import type { Move } from "../core/move.ts";
import { type Report, subjectOf, type Task } from "../core/records.ts";
import { shortLine } from "../core/words.ts";
import { type Fields, log } from "../log.ts";
import { answerError, answerSender } from "./answer.ts";
import { clientOf } from "./client-ip.ts";
import type { Delivery } from "./delivery.ts";
import type { Notes } from "./notes.ts";
import type { Quiet } from "./quiet.ts";

/** A delivery that was not taken. `verified` says whether it had shown a right token or signature by then. */
export interface Refusal {
  outcome: "refused";
  status: number;
  error: string;
  hint?: string | undefined;
  headers?: Record<string, string> | undefined;
  /** What the log says beside the error: a sender that is not verified does not learn it. */
  cause: string;
  verified: boolean;
  key: string | null;
  task: Task | null;
}

/** What became of a delivery. `key` is the id of the secret value that opened the door. */
export type Outcome =
  | { outcome: "queued" | "duplicate"; run_id: string; task: Task; enqueue_ms: number; key: string | null }
  | { outcome: "stored" | "duplicate"; report: Report; key: string | null }
  | { outcome: "stored"; task: Task | null; key: string | null }
  | { outcome: "ignored"; reason: string; move: Move | null; key: string | null }
  | Refusal;

type Details = Partial<Pick<Refusal, "hint" | "headers" | "cause">> & { key?: string | null | undefined; task?: Task };

/** Refuses with a status and a reason that may be shown; `key` says that the sender was verified before. */
export function refused(status: number, error: string, { hint, headers, cause, key, task }: Details = {}): Refusal {
  const verified = key !== undefined && key !== null;
  return {
    outcome: "refused",
    status,
    error,
    hint,
    headers,
    cause: cause ?? error,
    verified,
    key: key ?? null,
    task: task ?? null,
  };
}

/** Refuses with the one answer that a missing, wrong or unreadable token gets. */
export const unauthorized = (cause: string): Refusal => refused(401, "unauthorized", { cause });

/** Refuses for now: nothing was stored, and the sender should come again. */
export const retryLater = (cause: string, key: string | null, task?: Task): Refusal =>
  refused(503, "not stored", {
    hint: "send it again",
    headers: { "Retry-After": "5" },
    cause,
    key,
    ...(task && { task }),
  });

/** What `up` shows of a delivery. */
export interface DeliveryStep {
  door: string;
  outcome: Outcome["outcome"];
  status: number;
  reason: string | null;
  run_id: string | null;
  issue_key: string | null;
  correlation_id: string;
}

/** Where an outcome is told. */
export interface Ledger {
  notes: Notes;
  quiet: Quiet;
  on?: ((step: DeliveryStep) => void) | undefined;
}

/** Answers the sender, writes the one access line, and notes what was not queued. */
export function tell(delivery: Delivery, outcome: Outcome, ledger: Ledger): Response {
  const { door, request, ip, correlation_id, seen_at, canary } = delivery;
  const status = outcome.outcome === "refused" ? outcome.status : 200;
  const reason = outcome.outcome === "refused" ? outcome.cause : "reason" in outcome ? outcome.reason : null;
  const run_id = "run_id" in outcome ? outcome.run_id : null;
  const issue_key = issueKeyOf(outcome);
  const fields: Fields = {
    door: door.name,
    route: door.path,
    outcome: outcome.outcome,
    status,
    enqueue_ms: "enqueue_ms" in outcome ? outcome.enqueue_ms : undefined,
    requested_by: requestedBy(outcome),
    remote_ip: ip,
    correlation_id,
    run_id: run_id ?? undefined,
    issue_key: issue_key ?? undefined,
    key_id: outcome.key ?? undefined,
    canary: canary || undefined,
    ...("report" in outcome && { workflow: shortLine(outcome.report.workflow, 200), state: outcome.report.state }),
  };
  if (outcome.outcome === "refused") tellRefusal(outcome, fields, request.headers.get(door.header), delivery, ledger);
  else log.info(canary ? "canary answered" : said[outcome.outcome], reason === null ? fields : { ...fields, reason });

  // A stranger must not be able to push what senders did out of the bounded notes, and a probe is not to; who has a retired token is no stranger.
  const toNote =
    outcome.outcome === "ignored" || (outcome.outcome === "refused" && (outcome.verified || wasOurs(outcome)));
  if (toNote && !canary) {
    const { outcome: what } = outcome;
    ledger.notes.add({ at: seen_at, source: door.name, correlation_id, outcome: what, reason, run_id, issue_key });
  }
  if (!canary)
    ledger.on?.({ door: door.name, outcome: outcome.outcome, status, reason, run_id, issue_key, correlation_id });
  if (outcome.outcome === "refused") return answerError(status, outcome.error, correlation_id, outcome);
  return answerSender(answerBody(outcome, delivery), correlation_id);
}

/** A sender that was forgotten in a rotation; past its burst of wrong tokens it is throttled like any other. */
const wasOurs = ({ status, cause }: Refusal): boolean => status === 401 && cause.startsWith("retired token of ");

const said = {
  queued: "delivery queued",
  stored: "delivery stored",
  duplicate: "delivery duplicate",
  ignored: "delivery ignored",
} as const;

function answerBody(outcome: Exclude<Outcome, Refusal>, { correlation_id, canary }: Delivery): Json {
  // Whoever reads an answer of a header that was sent by mistake learns why nothing is built.
  const end = canary ? { canary, correlation_id } : { correlation_id };
  if (outcome.outcome === "ignored") return { status: "ignored", reason: outcome.reason, ...end };
  if ("report" in outcome) return { status: outcome.outcome, report: subjectOf(outcome.report), ...end };
  if (outcome.outcome === "stored") return { status: "stored", ...end };
  const { outcome: status, run_id } = outcome;
  if (status === "queued" || canary) return { status, run_id, ...end };
  return { status, run_id, hint: `to build it again: meshmac runs retry ${run_id}`, ...end };
}

function tellRefusal(
  { cause, verified, status }: Refusal,
  fields: Fields,
  token: string | null,
  { request, ip }: Delivery,
  { quiet }: Ledger,
): void {
  const held = verified ? 0 : quiet.ask(clientOf(ip));
  if (held === null) return;
  const line = {
    ...fields,
    cause,
    token_header: token !== null,
    token_length: token?.length,
    user_agent: shortLine(request.headers.get("user-agent") ?? "", 200) || undefined,
    held_back: held || undefined,
  };
  if (status >= 500) log.warn("delivery refused", line);
  else log.info("delivery refused", line);
}

function issueKeyOf(outcome: Outcome): string | null {
  if (outcome.outcome === "ignored") return outcome.move ? shortLine(outcome.move.issueKey, 200) : null;
  if ("report" in outcome) return null;
  return outcome.task?.issue_key ?? null;
}

function requestedBy(outcome: Outcome): string | undefined {
  if (outcome.outcome === "ignored") return outcome.move ? shortLine(outcome.move.requestedBy, 200) : undefined;
  if ("report" in outcome) return undefined;
  return outcome.task?.requested_by;
}
