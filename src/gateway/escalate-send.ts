import { isObject, text } from "../core/json.ts";
import { dead, judged, type Post, retry, type Verdict } from "../core/post.ts";
import type { Bucket } from "../core/rate.ts";
import { clampedWait, retryAfter, waitAfter } from "../core/retry.ts";
import { oneLine, truncate } from "../core/text.ts";
import type { Message, PagerAt } from "./escalate-pagers.ts";
import type { Send } from "./send-try.ts";
import type { Sleep } from "./stir.ts";

export interface PageHands {
  send: Send;
  /** Where a page to a `console` chat goes. */
  print: (line: string) => void;
  mask: (text: string) => string;
  now: () => number;
  sleep: Sleep;
  /** In [0, 1): spreads retries. */
  chance: () => number;
  stopped: AbortSignal;
}

export type Paged = { done: true; tries: number } | { done: false; tries: number; why: string };

// A target that the configuration must not name is no passing trouble.
const misconfigured = new Set(["plain_http", "bad_url"]);

/** Sends one page, again as its policy says, for at most `longest` milliseconds; null when it was stopped, or its rate let it not through, before it came to an end. */
export async function sendPage(
  { post: rich, plainer, judge }: Message,
  { policy, outbound }: Pick<PagerAt, "policy" | "outbound">,
  { bucket, longest }: { bucket: Bucket; longest: number },
  { send, print, mask, now, sleep, chance, stopped }: PageHands,
): Promise<Paged | null> {
  const begun = now();
  let post = rich;
  for (let tries = 1; ; tries++) {
    for (let ms = bucket.wait(now()); ms > 0 && !stopped.aborted; ms = bucket.wait(now())) {
      if (now() + ms - begun > longest) return null;
      await sleep(ms, stopped);
    }
    if (stopped.aborted) return null;
    bucket.take(now());
    const { verdict, asked } = await once(post);
    if (verdict.verdict === "sent") return { done: true, tries };
    if (verdict.verdict === "degrade" && plainer && post !== plainer) {
      post = plainer;
      continue;
    }
    const wait = verdict.verdict === "retry" ? waitAfter(tries, policy, chance(), asked) : null;
    if (wait === null || now() + wait - begun > longest) return { done: false, tries, why: verdict.why };
    await sleep(wait, stopped);
    if (stopped.aborted) return null;
  }

  async function once(described: Post): Promise<{ verdict: Verdict; asked: number }> {
    if (described.url === "console:") {
      print(isObject(described.body) ? text(described.body.text) : "");
      return { verdict: { verdict: "sent" }, asked: 0 };
    }
    const answer = await send(described, outbound);
    if ("failure" in answer) {
      const { code, why } = answer.failure;
      return { verdict: misconfigured.has(code) ? dead(why) : retry(why), asked: 0 };
    }
    const { reply } = answer;
    const verdict = judged(judge(reply), reply.status, policy);
    if (verdict.verdict === "sent") return { verdict, asked: 0 };
    const body = truncate(oneLine(mask(reply.text)), 500);
    const said = "waitMs" in verdict ? clampedWait(verdict.waitMs) : 0;
    return {
      verdict: { ...verdict, why: body === "" ? verdict.why : `${verdict.why}: ${body}` },
      asked: Math.max(retryAfter(reply.headers, now()), said),
    };
  }
}
