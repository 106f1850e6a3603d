import type { Json } from "./json.ts";
import type { Secret } from "./secret.ts";

/** One outbound request, described. Secrets stay wrapped until `http.ts` sends it, so `--dry-run` can print it. */
export interface Post {
  method: "GET" | "POST" | "PUT" | "PATCH";
  /** A list is joined as it stands: `[secretUrl, "?wait=true"]`, `["https://api.example/bot", token, "/send"]`. */
  url: Secret | string | (Secret | string)[];
  headers?: Record<string, Secret | string>;
  /** HTTP Basic: user and secret; joined and encoded by `http.ts`, so that no adapter sees the text. */
  basic?: { user: string; password: Secret };
  /** Bearer token, put into `Authorization` by `http.ts`. */
  bearer?: Secret;
  /** Signs the body as it travels, with a fresh timestamp at every try: https://www.standardwebhooks.com */
  sign?: { scheme: "standard-webhooks"; id: string; key: Secret };
  /** Says why the address, once it is known, must not be asked at all; null where it may. */
  refuse?: (url: URL) => string | null;
  body?: Json;
  /** Secrets that the provider wants as further keys of the body, which is then an object; put there by `http.ts`. */
  bodySecrets?: Record<string, Secret>;
}

/** What came back, as an adapter may judge it. */
export interface Reply {
  status: number;
  headers: Headers;
  text: string;
}

/** What provider-side name a later edit or thread needs; opaque to the house. */
export type Handle = string;

/** What a reply means for the post. */
export type Verdict =
  | { verdict: "sent"; handle?: Handle }
  | {
      verdict: "retry";
      why: string;
      /** Milliseconds to stay away, said in the body. */
      waitMs?: number;
      /** Whether the request may have taken effect; where unsaid, the status tells. */
      unsure?: boolean;
    }
  | { verdict: "degrade"; why: string }
  | { verdict: "lost"; why: string }
  | { verdict: "dead"; why: string };

export const sent = (handle?: Handle): Verdict =>
  handle === undefined ? { verdict: "sent" } : { verdict: "sent", handle };
export const retry = (why: string, waitMs?: number): Verdict =>
  waitMs === undefined ? { verdict: "retry", why } : { verdict: "retry", why, waitMs };
export const degrade = (why: string): Verdict => ({ verdict: "degrade", why });
export const handleLost = (why: string): Verdict => ({ verdict: "lost", why });
export const dead = (why: string): Verdict => ({ verdict: "dead", why });

/** Judges a status that its adapter has nothing special to say about. A redirect is a configuration fault: it may lead anywhere. */
export function judgeStatus(status: number): Verdict {
  if (status >= 200 && status < 300) return sent();
  if (status >= 300 && status < 400) return dead(`redirected (${status}); the URL points somewhere else`);
  if (status === 408 || status === 425 || status === 429 || status >= 500) return retry(`status ${status}`);
  return dead(`status ${status}`);
}

/**
 * Settles what the configuration's status lists say against the adapter's verdict. Success, a plainer layout and a lost
 * handle are the adapter's to see; a status listed as not to be retried never is; one listed as to be retried is.
 */
export function judged(
  verdict: Verdict,
  status: number,
  lists: { retry_on_status: number[]; no_retry_on_status: number[] },
): Verdict {
  if (verdict.verdict !== "retry" && verdict.verdict !== "dead") return verdict;
  if (lists.no_retry_on_status.includes(status)) return dead(verdict.why);
  if (verdict.verdict === "dead" && lists.retry_on_status.includes(status)) return retry(verdict.why);
  return verdict;
}

/** Whether a reply leaves open if the request took effect: a server error may come after the message was created. */
export const leavesOpen = (status: number): boolean =>
  status === 408 || status === 409 || (status >= 500 && status !== 501 && status !== 503);
