import { isObject, text } from "../core/json.ts";
import { dead, judged, leavesOpen, type Post, type Reply, retry, type Verdict } from "../core/post.ts";
import { clampedWait, retryAfter } from "../core/retry.ts";
import { oneLine, truncate } from "../core/text.ts";
import type { Outbound } from "../core/outbound.ts";
import type { Sent } from "../http.ts";
import type { Claimed } from "../stores/store.ts";
import type { Sign } from "./circuit.ts";
import type { Destination } from "./destinations.ts";

export type Send = (post: Post, outbound: Outbound) => Promise<Sent>;

export interface Hands {
  send: Send;
  /** Where a post to `console:` goes. */
  print: (line: string) => void;
  mask: (text: string) => string;
  now: () => number;
}

/** What came of one try: the status where one came, who was asked, and the verdict. */
export interface Tried {
  verdict: "sent" | "later" | "dead";
  handle?: string;
  why?: string;
  /** The try may have taken effect although it did not succeed. */
  unsure: boolean;
  retryAfterMs: number;
  status: number | null;
  place: string | null;
  /** What it showed of the destination; nothing where the fault was ours, or where the remote only asked for a rest. */
  sign?: Sign;
  /** A message that was there before may have been changed. */
  edited?: boolean;
}

/** Makes one try of a claimed post. An earlier try of unknown outcome is looked for first; a refused layout is sent once more as plain text. Never throws. */
export async function tryPost(claimed: Claimed, destination: Destination, hands: Hands): Promise<Tried> {
  const budget = budgeted(destination.outbound, hands.send);
  try {
    if (claimed.unsure && destination.search) {
      const earlier = await lookFor(claimed, destination, budget, hands);
      if (earlier) return earlier;
    }
    return await post(claimed, destination, budget, hands);
  } catch (fault) {
    // Only describing or judging can throw: a fault of an adapter, which another try would meet again.
    const why = hands.mask(fault instanceof Error ? fault.message : "unknown fault");
    return { ...nothing, verdict: "dead", why: truncate(`could not be described: ${oneLine(why)}`, 500) };
  }
}

const nothing = { unsure: false, retryAfterMs: 0, status: null, place: null };

/** Shares one timeout among all requests of a try, so that a claim cannot run out under it. */
function budgeted(outbound: Outbound, send: Send): (post: Post) => Promise<Sent> {
  const end = performance.now() + outbound.timeout;
  return (described) => {
    const left = Math.max(1, Math.round(end - performance.now()));
    return send(described, { ...outbound, timeout: Math.min(outbound.timeout, left) });
  };
}

type Ask = (post: Post) => Promise<Sent>;

/** Answers a finished try when our mark was found, or when the answer must be had before posting again; undefined to post. */
async function lookFor(claimed: Claimed, { search, policy }: Destination, ask: Ask, hands: Hands) {
  if (!search) return undefined;
  const answer = await ask(search.find(claimed));
  const { place } = answer;
  if ("failure" in answer)
    return { ...nothing, verdict: "later", why: answer.failure.why, unsure: true, place, sign: "failed" } as const;
  const { status, headers } = answer.reply;
  const unseen = (reason: string): Tried => {
    const retryAfterMs = retryAfter(headers, hands.now());
    const why = `could not look for an earlier try: ${reason}`;
    return { verdict: "later", why, unsure: true, retryAfterMs, status, place, ...failedUnlessAsked(retryAfterMs) };
  };
  if (status >= 200 && status < 300) {
    const found = search.found(answer.reply, claimed);
    if (found === false) return undefined;
    if (found === null) return unseen("the answer does not tell");
    return { ...nothing, verdict: "sent", why: "found at the provider", status, place, sign: "works" } as const;
  }
  // A listing that is refused for good must not hold back the comment: better twice than never.
  if (judged(retryable(status), status, policy).verdict !== "retry") return undefined;
  return unseen(`status ${status}`);
}

const retryable = (status: number): Verdict =>
  status === 429 || status >= 500 ? retry(`status ${status}`) : dead(`status ${status}`);

async function post(claimed: Claimed, destination: Destination, ask: Ask, hands: Hands): Promise<Tried> {
  let plain = false;
  let { handle } = claimed;
  for (;;) {
    const described = destination.post({ ...claimed, handle }, { plain });
    if (typeof described.url === "string" && described.url.startsWith("console:")) {
      hands.print(isObject(described.body) ? text(described.body.text) : "");
      return { ...nothing, verdict: "sent", sign: "works" };
    }
    const answer = await ask(described);
    const { place } = answer;
    const edited = destination.edits && handle !== null;
    if ("failure" in answer) {
      const { maybeSent } = answer.failure;
      return {
        ...afterFailure(answer.failure),
        retryAfterMs: 0,
        status: null,
        place,
        ...(edited && maybeSent && { edited }),
      };
    }
    const { reply, taken } = answer;
    const own = destination.judge(reply, { ...claimed, handle });
    const verdict = judged(own, reply.status, destination.policy);
    if (verdict.verdict === "sent") taken?.();
    if (verdict.verdict === "degrade" && destination.canDegrade && !plain) plain = true;
    else if (verdict.verdict === "lost" && handle !== null) handle = null;
    else
      return {
        ...afterReply(
          verdict,
          reply,
          hands,
          destination.keep({ ...claimed, handle }, "handle" in verdict ? verdict.handle : undefined),
        ),
        ...signOf(own, verdict, reply, destination, hands.now()),
        ...(edited && { edited }),
        status: reply.status,
        place,
      };
  }
}

/** Reads a reply as a sign: a refusal that concerns the issue alone, a payload or a list of statuses condemns no destination at once. */
function signOf(
  own: Verdict,
  verdict: Verdict,
  reply: Reply,
  { refusesPost }: Destination,
  now: number,
): { sign?: Sign } {
  if (verdict.verdict === "sent") return { sign: "works" };
  if (verdict.verdict === "retry") return failedUnlessAsked(waitAsked(verdict, reply, now));
  const refused = own.verdict === "dead" && verdict.verdict === "dead" && !refusesPost?.(reply);
  return { sign: refused ? "refused" : "failed" };
}

/** A remote that says how long to stay away is alive, and the pause is all that it wants. */
const failedUnlessAsked = (retryAfterMs: number): { sign?: Sign } => (retryAfterMs > 0 ? {} : { sign: "failed" });

// A target that the configuration must not name is no passing trouble.
const misconfigured = new Set(["plain_http", "bad_url"]);

const afterFailure = ({ code, maybeSent, why }: { code: string; maybeSent: boolean; why: string }) => ({
  verdict: misconfigured.has(code) ? ("dead" as const) : ("later" as const),
  why,
  unsure: maybeSent,
  sign: misconfigured.has(code) ? ("refused" as const) : ("failed" as const),
});

function afterReply(
  verdict: Verdict,
  reply: Reply,
  { mask, now }: Hands,
  handle: string | undefined,
): Omit<Tried, "status" | "place"> {
  if (verdict.verdict === "sent") {
    return { verdict: "sent", unsure: false, retryAfterMs: 0, ...(handle !== undefined && { handle }) };
  }
  // Masked as a whole and cut afterwards: a secret cut in two would be known to no mask.
  const body = truncate(oneLine(mask(reply.text)), 500);
  const why = body === "" ? verdict.why : `${verdict.why}: ${body}`;
  if (verdict.verdict !== "retry") return { verdict: "dead", why, unsure: false, retryAfterMs: 0 };
  const retryAfterMs = waitAsked(verdict, reply, now());
  return { verdict: "later", why, unsure: verdict.unsure ?? leavesOpen(reply.status), retryAfterMs };
}

/** Some say in the body how long to stay away, some in a header, some in both. */
const waitAsked = (verdict: Extract<Verdict, { verdict: "retry" }>, { headers }: Reply, now: number): number =>
  Math.max(retryAfter(headers, now), clampedWait(verdict.waitMs));
