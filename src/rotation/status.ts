import type { Config } from "../config.ts";
import { MeshError } from "../core/error.ts";
import type { Operation, Reason } from "../secrets/ledger.ts";
import { bornAt, look, type Looked, prevSince } from "../secrets/shelf.ts";
import { aboutOf, marksOf } from "./about.ts";
import { type Evidence, evidenceOf, type LiveGateway, type Testimony, type ValueUse } from "./evidence.ts";
import { faultOfPair } from "./pair.ts";
import { stepsFor } from "./steps/registry.ts";
import type { Subject } from "./subjects.ts";
import { type Objection, objectionsTo } from "./verdict.ts";

/** Everything that can be said of one secret and its rotation. Times are ages in milliseconds. */
export interface Status {
  secret: string;
  kind: Subject["kind"];
  system: string;
  owner: string | null;
  every_ms: number;
  window_ms: number;
  /** Milliseconds until the other side stops taking the current value, negative once it is over; null where nobody wrote that down. */
  expires_ms: number | null;
  current: { key_id: string; age_ms: number } | null;
  next: { key_id: string; age_ms: number; reason: Reason } | null;
  /** The value before the last commit, accepted by nobody, and for how long an undo brings it back. */
  prev: { key_id: string; age_ms: number; left_ms: number } | null;
  /** An operation that somebody who was killed has begun; the next command finishes it. */
  doing: Operation | null;
  /** Two values live side by side for longer than was meant. */
  window_over: boolean;
  overdue: boolean;
  uses: ({ key_id: string; role: "current" | "next" | "earlier" } & ValueUse)[];
  gateways: LiveGateway[];
  /** What speaks against a commit now; null where nothing is staged. */
  objections: Objection[] | null;
  steps: { say: string; done: boolean | null }[];
  next_step: string | null;
  /** Why the files cannot be read. */
  problem: { says: string; hint: string | null } | null;
}

export interface StatusOptions {
  config: Config;
  /** What the store says; null where it cannot be asked. */
  testimony: Testimony | null;
  now: number;
  quiet?: number | undefined;
}

/** Says how one secret stands. Changes nothing; what cannot be read is said, not thrown. */
export function statusOf(subject: Subject, options: StatusOptions): Status {
  try {
    return withLooked(subject, look(subject.shelf), options);
  } catch (fault) {
    if (!(fault instanceof MeshError)) throw fault;
    return { ...blank(subject), problem: { says: fault.message, hint: fault.hint ?? null } };
  }
}

function withLooked(subject: Subject, looked: Looked, { config, testimony, now, quiet }: StatusOptions): Status {
  const { current, next, ledger } = looked;
  const evidence = testimony && evidenceOf(testimony, subject.name);
  const born = bornAt(looked);
  const age_ms = born === null ? 0 : Math.max(0, now - born);
  const stagedAt = next ? stagedSince(looked) : null;
  const reason = ledger.staged?.key_id === next?.key_id ? (ledger.staged?.reason ?? "planned") : "planned";
  const window_ms = next && reason === "incident" ? 0 : subject.window;
  const steady = quiet ?? config.rotation.quiet;
  const marks = marksOf(subject, looked, evidence, steady);
  const steps = stepsFor(subject, aboutOf(subject, looked, config)).map(({ say, done }) => ({
    say,
    done: done === null ? null : marks[done],
  }));
  return {
    ...blank(subject),
    window_ms,
    expires_ms: subject.expires === null ? null : subject.expires - now,
    current: current && { key_id: current.key_id, age_ms },
    next: next && stagedAt !== null ? { key_id: next.key_id, age_ms: Math.max(0, now - stagedAt), reason } : null,
    prev: prevIn(looked, config, now),
    doing: ledger.doing,
    window_over: stagedAt !== null && now - stagedAt > window_ms,
    overdue: current !== null && age_ms > subject.every,
    uses: usesIn(looked, evidence),
    gateways: evidence?.gateways ?? [],
    objections: next
      ? objectionsTo({ subject, looked, evidence, quiet: steady, pairFault: pairFaultIn(subject, looked, config, now) })
      : null,
    steps: next || marks.committed ? steps : [],
    next_step: next ? (steps.find(({ done }) => done === false)?.say ?? null) : null,
  };
}

/** What is wrong with a staged certificate and key, or null. */
export function pairFaultIn(
  { kind }: Pick<Subject, "kind">,
  { next }: Looked,
  { gateway }: Pick<Config, "gateway">,
  now: number,
): string | null {
  if (kind !== "tls" || !next) return null;
  const [cert = "", key = ""] = next.texts;
  const host = gateway.public_url ? (URL.parse(gateway.public_url)?.hostname ?? null) : null;
  return faultOfPair({ cert, key }, { host, now });
}

const stagedSince = ({ next, ledger }: Looked): number | null =>
  next && ledger.staged?.key_id === next.key_id ? ledger.staged.at : (next?.at ?? null);

function prevIn(looked: Looked, { rotation }: Config, now: number): Status["prev"] {
  const { prev } = looked;
  const since = prevSince(looked);
  if (!prev || since === null) return null;
  const age_ms = Math.max(0, now - since);
  return { key_id: prev.key_id, age_ms, left_ms: Math.max(0, rotation.undo_for - age_ms) };
}

function usesIn({ current, next }: Looked, evidence: Evidence | null): Status["uses"] {
  const roleOf = (key_id: string) =>
    key_id === current?.key_id ? "current" : key_id === next?.key_id ? "next" : "earlier";
  return [...(evidence?.uses ?? [])].flatMap(([key_id, use]) =>
    use.count > 0 ? [{ key_id, role: roleOf(key_id), ...use } as const] : [],
  );
}

const blank = ({ name, kind, system, owner, every, window }: Subject): Status => ({
  secret: name,
  kind,
  system,
  owner,
  every_ms: every,
  window_ms: window,
  expires_ms: null,
  current: null,
  next: null,
  prev: null,
  doing: null,
  window_over: false,
  overdue: false,
  uses: [],
  gateways: [],
  objections: null,
  steps: [],
  next_step: null,
  problem: null,
});
