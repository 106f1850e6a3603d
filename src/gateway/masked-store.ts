import { exactMask } from "../core/redact.ts";
import { needlesOf } from "../core/redact-exact.ts";
import type { Json } from "../core/json.ts";
import type { Vault } from "../secrets.ts";
import type { Report } from "../core/records.ts";
import type { Entry, LogChunk, NodeStore } from "../stores/store.ts";

/** How the gateway hides its own secrets by exact value. */
export interface Masks {
  text: (text: string) => string;
  /** Hides with as many bytes, so that offsets into a log hold. */
  bytes: (bytes: Uint8Array) => Uint8Array;
  /** How many bytes at the end may be the beginning of a secret that goes on in the next chunk. */
  begun: (bytes: Uint8Array) => number;
  /** How many bytes before and after a piece of text tell all of a secret that reaches into it. */
  reach: () => number;
}

/** Makes masks of every value the vault has loaded, and follows it as secrets rotate. */
export function masksOf(vault: Pick<Vault, "values">): Masks {
  let known: string[] = [];
  let masks = masksFor(known);
  const current = () => {
    const values = vault.values();
    if (values.length !== known.length || values.some((value, index) => value !== known[index])) {
      [known, masks] = [values, masksFor(values)];
    }
    return masks;
  };
  return {
    text: (text) => current().text(text),
    bytes: (bytes) => current().bytes(bytes),
    begun: (bytes) => current().begun(bytes),
    reach: () => current().reach(),
  };
}

function masksFor(values: string[]): Masks {
  const sameLength = exactMask(values, { keepLength: true });
  const needles = needlesOf(values);
  const longest = Math.max(0, ...needles.map((needle) => needle.length));
  return {
    text: exactMask(values),
    bytes: (bytes) => {
      // Latin-1 keeps one character per byte, whatever the bytes are.
      const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
      const masked = sameLength(text);
      return masked === text ? bytes : Buffer.from(masked, "latin1");
    },
    begun: (bytes) => {
      const tail = Buffer.from(bytes.subarray(Math.max(0, bytes.length - longest + 1))).toString("latin1");
      for (let from = 0; from < tail.length; from++) {
        const rest = tail.slice(from);
        if (needles.some((needle) => needle.startsWith(rest))) return rest.length;
      }
      return 0;
    },
    reach: () => Math.max(0, longest - 1),
  };
}

// Fewer characters than this say too little of a secret to hold a chunk back for: what comes after them is hidden.
const shortestBeginning = 4;

/** Hides secrets in every text within a value; keys stay. */
export function maskDeep<T extends Json>(value: T, mask: (text: string) => string): T;
export function maskDeep(value: Json, mask: (text: string) => string): Json {
  if (typeof value === "string") return mask(value);
  if (Array.isArray(value)) return value.map((inner) => maskDeep(inner, mask));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, maskDeep(inner, mask)]));
}

/** Hides secrets in everything of a task that came with the delivery. */
export function maskedTask(entry: Entry, masks: Masks): Entry {
  const told = strangersText(entry.task);
  if (masks.text(told) === told) return entry;
  return { ...entry, task: maskDeep({ ...entry.task }, masks.text) as Entry["task"] };
}

/** Everything in a task that came with the delivery, in one text. */
function strangersText({
  issue_key,
  issue_id,
  issue_url,
  project,
  transition_id,
  summary,
  requested_by,
  ref,
  params,
}: Entry["task"]): string {
  let all = `${issue_key}\n${issue_id}\n${issue_url}\n${project}\n${transition_id}\n${summary}\n${requested_by}\n${ref}`;
  for (const name in params) all += `\n${params[name]}`;
  return all;
}

/** Wraps the store that nodes reach: what they hand in is masked by exact value before it is stored. */
export function maskedStore(store: NodeStore, masks: Masks): NodeStore {
  const tails = new Map<string, Tail>();
  const text = (value: string | null) => (value === null ? null : masks.text(value));

  /** Stores a chunk up to where a secret may have begun; the node sends the rest again, longer or, at the end, as it is. */
  async function log(chunk: LogChunk): Promise<number | "stale"> {
    const of = `${chunk.run_id}/${chunk.attempt}`;
    const end = chunk.offset + chunk.bytes.length;
    const tail = tails.get(of);
    const before = tail?.stored && tail.end === chunk.offset ? tail.bytes : new Uint8Array();
    const whole = before.length === 0 ? chunk.bytes : Buffer.concat([before, chunk.bytes]);
    const reaches = masks.begun(whole);
    const begun = Math.min(reaches, chunk.bytes.length);
    // What comes a second time without having grown is all there is.
    const stored = begun < shortestBeginning || tail?.end === end;
    if (tails.size >= mostTails) tails.clear();
    if (begun === 0) tails.delete(of);
    else tails.set(of, { end, bytes: whole.slice(-reaches), stored });
    const kept = masks.bytes(stored ? whole : whole.subarray(0, -begun));
    return await store.log({ ...chunk, bytes: kept.subarray(before.length) });
  }

  return {
    lease: (ask, wait) => store.lease(ask, wait),
    renew: (node, runs, wait) => store.renew(node, runs, wait),
    log,
    finish: (result) => {
      tails.delete(`${result.run_id}/${result.attempt}`);
      return store.finish({
        ...result,
        reason: text(result.reason),
        commit: text(result.commit),
        failing_target: text(result.failing_target),
        summary: text(result.summary),
        run_url: text(result.run_url),
        log_tail: result.log_tail.map(masks.text),
      });
    },
    report: (report) => store.report(maskedReport(report, masks)),
    close: () => store.close(),
  };
}

/** A report without a secret of ours in it, whoever wrote that into a build. */
export function maskedReport(report: Report, { text }: Pick<Masks, "text">): Report {
  const say = (value: string | null) => (value === null ? null : text(value));
  return {
    ...report,
    workflow: text(report.workflow),
    branch: text(report.branch),
    commit: say(report.commit),
    run_url: say(report.run_url),
    mesh_node_id: say(report.mesh_node_id),
    failing_target: say(report.failing_target),
    provider_run_id: text(report.provider_run_id),
  };
}

/** The end of a log that may be the beginning of a secret. */
interface Tail {
  end: number;
  bytes: Uint8Array;
  stored: boolean;
}

// One per running attempt; those of attempts that never finished make room.
const mostTails = 1000;
