import { z } from "zod";

const statusList = z.array(z.int().min(100).max(599));

/** The retry block of the configuration. `dedupe_key` is accepted as published guides print it; our dedupe is stronger and needs no template. */
export const retryOptions = z.strictObject({
  max_attempts: z.int().min(1).max(100).optional(),
  base_delay_ms: z.int().min(1).max(3_600_000).optional(),
  max_delay_ms: z.int().min(1).max(3_600_000).optional(),
  jitter_ratio: z.number().min(0).max(1).optional(),
  respect_retry_after: z.boolean().optional(),
  retry_on_status: statusList.optional(),
  no_retry_on_status: statusList.optional(),
  slow_lane: z.boolean().optional(),
  dedupe_key: z.string().optional(),
});

export type RetryOptions = z.output<typeof retryOptions>;

export interface RetryPolicy {
  max_attempts: number;
  base_delay_ms: number;
  max_delay_ms: number;
  jitter_ratio: number;
  respect_retry_after: boolean;
  retry_on_status: number[];
  no_retry_on_status: number[];
  slow_lane: boolean;
}

export const defaultRetry: RetryPolicy = {
  max_attempts: 6,
  base_delay_ms: 400,
  max_delay_ms: 30_000,
  jitter_ratio: 1,
  respect_retry_after: true,
  retry_on_status: [408, 409, 425, 429, 500, 502, 503, 504],
  no_retry_on_status: [400, 401, 403, 404],
  slow_lane: true,
};

/** Joins the house's defaults with what the configuration says; later blocks win key by key. */
export function retryPolicy(...blocks: (RetryOptions | undefined)[]): RetryPolicy {
  const policy = { ...defaultRetry };
  for (const block of blocks) {
    for (const [key, value] of Object.entries(block ?? {})) {
      if (value !== undefined && key in policy) Object.assign(policy, { [key]: value });
    }
  }
  return policy;
}

/** Milliseconds to wait after `attempt` (from 1) failed, or null when it was the last. `chance` is in [0, 1). */
export function waitAfter(attempt: number, policy: RetryPolicy, chance: number, retryAfterMs = 0): number | null {
  if (attempt >= policy.max_attempts) return null;
  const full = Math.min(policy.max_delay_ms, policy.base_delay_ms * 2 ** (attempt - 1));
  const jittered = full * (1 - policy.jitter_ratio * chance); // 1 is full jitter
  // The remote knows its own limits: its Retry-After may exceed our maximum.
  return Math.max(Math.round(jittered), policy.respect_retry_after ? retryAfterMs : 0);
}

const minutes = 60_000;
const slowLane = [1 * minutes, 5 * minutes, 15 * minutes, 30 * minutes, 60 * minutes];
const slowLaneEnd = 24 * 60 * minutes;

/**
 * Milliseconds to wait after the `slowTry`-th try (from 0) beyond the fast lane, or null when the post is 24 hours old. The
 * last wait may end after those 24 hours: a remote that asked for a long pause is knocked on once more.
 */
export function waitInSlowLane(slowTry: number, ageMs: number, retryAfterMs = 0): number | null {
  if (ageMs >= slowLaneEnd) return null;
  return Math.max(slowLane[Math.min(Math.max(0, slowTry), slowLane.length - 1)] ?? 0, retryAfterMs);
}

/** Milliseconds to wait after the `tries`-th try of a post that is `ageMs` old: the fast lane, then the slow one; null when it is to be given up. */
export function nextWait(
  { tries, ageMs, retryAfterMs }: { tries: number; ageMs: number; retryAfterMs: number },
  policy: RetryPolicy,
  chance: number,
): number | null {
  const fast = waitAfter(tries, policy, chance, retryAfterMs);
  if (fast !== null || !policy.slow_lane) return fast;
  return waitInSlowLane(tries - policy.max_attempts, ageMs, policy.respect_retry_after ? retryAfterMs : 0);
}

const longestRetryAfter = 24 * 60 * minutes;

/**
 * Milliseconds that a reply asks us to stay away: `Retry-After` in seconds or as an HTTP date (RFC 9110 §10.2.3), or the
 * reset time that Jira Cloud sends in `X-RateLimit-Reset` as ISO 8601. 0 where it says nothing usable; at most 24 hours.
 */
export function retryAfter(headers: Headers, now: number): number {
  const said = headers.get("retry-after")?.trim() ?? "";
  if (/^\d+(\.\d+)?$/.test(said)) return clamped(Number(said) * 1000);
  // asctime, the third form that RFC 9110 allows, has no zone and means GMT.
  if (httpDate.test(said)) return clamped(Date.parse(said.endsWith(" GMT") ? said : `${said} GMT`) - now);
  const reset = headers.get("x-ratelimit-reset") ?? "";
  return /^\d{4}-\d\d-\d\dT/.test(reset) ? clamped(Date.parse(reset.replace(/(T\d\d:\d\d)Z$/, "$1:00Z")) - now) : 0;
}

const httpDate =
  /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? (\d\d[ -][A-Z][a-z]{2}[ -]\d{2,4} \d\d:\d\d:\d\d GMT|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4})$/;

/** Makes of a number of milliseconds that a stranger said one to wait for: none below 0, at most 24 hours. */
export const clampedWait = (ms = 0): number => clamped(ms);

const clamped = (ms: number): number =>
  Number.isNaN(ms) ? 0 : Math.min(Math.max(0, Math.ceil(ms)), longestRetryAfter);
