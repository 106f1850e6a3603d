import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { dead, degrade, handleLost, judged, judgeStatus, leavesOpen, retry, sent } from "../../src/core/post.ts";
import { bucketOf } from "../../src/core/rate.ts";
import {
  defaultRetry,
  nextWait,
  retryAfter,
  retryOptions,
  retryPolicy,
  waitAfter,
  waitInSlowLane,
} from "../../src/core/retry.ts";

const everyStatus = Array.from({ length: 500 }, (_, at) => at + 100);
const now = Date.UTC(2026, 10, 20, 12, 0, 0);
const day = 86_400_000;

describe("waitAfter", () => {
  test("grows from the base to the maximum and ends with the last attempt", () => {
    const waits = [1, 2, 3, 4, 5, 6, 7].map((attempt) => waitAfter(attempt, defaultRetry, 0));
    expect(waits).toEqual([400, 800, 1600, 3200, 6400, null, null]);
    expect(waitAfter(20, { ...defaultRetry, max_attempts: 50 }, 0)).toBe(30_000);
  });

  test.each([
    [1, 0, 400],
    [1, 0.5, 200],
    [0.25, 0.5, 350],
    [0, 0.99, 400],
  ])("takes off up to the ratio %p (chance %p)", (jitter_ratio, chance, wait) => {
    expect(waitAfter(1, { ...defaultRetry, jitter_ratio }, chance)).toBe(wait);
  });

  test("is never sooner than the remote asked, even beyond our maximum, unless told not to listen", () => {
    expect(waitAfter(1, defaultRetry, 0.9, 120_000)).toBe(120_000);
    expect(waitAfter(1, { ...defaultRetry, respect_retry_after: false }, 0, 120_000)).toBe(400);
  });
});

const waited = (tries: number, ageMs = 0, more = {}, retryAfterMs = 0) =>
  nextWait({ tries, ageMs, retryAfterMs }, { ...defaultRetry, ...more }, 0);
const minutes = (count: number) => count * 60_000;

describe("nextWait", () => {
  test("goes on in the slow lane for a day", () => {
    expect([6, 7, 8, 9, 10, 11, 40].map((tries) => waited(tries))).toEqual([1, 5, 15, 30, 60, 60, 60].map(minutes));
    expect(waited(6, day - 1)).toBe(minutes(1));
    expect(waited(6, day)).toBeNull();
  });
  test("gives up where there is no slow lane", () => expect(waited(6, 0, { slow_lane: false })).toBeNull());
  test("listens to the remote in the slow lane too", () => {
    expect(waited(6, 0, {}, minutes(90))).toBe(minutes(90));
    expect(waited(6, 0, { respect_retry_after: false }, minutes(90))).toBe(minutes(1));
    expect(waitInSlowLane(0, day - 1, day)).toBe(day);
  });
});

test.each([
  ["2", 2000],
  [" 7 ", 7000],
  ["0", 0],
  ["1.5", 1500],
  ["-1", 0],
  ["abc", 0],
  ["", 0],
  ["1e3", 0],
  ["2 seconds", 0],
  ["999999", day],
  ["9".repeat(400), day],
  ["Fri, 20 Nov 2026 12:00:30 GMT", 30_000],
  ["Friday, 20-Nov-26 12:00:30 GMT", 30_000],
  ["Fri Nov 20 12:00:30 2026", 30_000],
  ["Fri, 20 Nov 2026 11:00:00 GMT", 0],
  ["Fri, 20 Nov 2099 12:00:00 GMT", day],
  ["Fri, 99 Nov 2026 12:00:30 GMT", 0],
  ["Monday is a good day", 0],
  ["May 1", 0],
])("reads Retry-After %j as %i ms", (said, ms) => {
  expect(retryAfter(new Headers({ "Retry-After": said }), now)).toBe(ms);
});

test.each([
  ["2026-11-20T12:01Z", 60_000],
  ["2026-11-20T12:00:05Z", 5000],
  ["2026-11-20T11:00Z", 0],
  ["1795176060", 0],
  ["2026-99-99T99:99Z", 0],
])("reads Jira's X-RateLimit-Reset %j as %i ms", (said, ms) => {
  expect(retryAfter(new Headers({ "X-RateLimit-Reset": said }), now)).toBe(ms);
});

test("always asks for a usable time, whatever a remote says", () =>
  fc.assert(
    fc.property(fc.string({ unit: "binary-ascii" }), (said) => {
      const headers = new Headers();
      try {
        headers.set("Retry-After", said);
      } catch {
        return; // not a header value at all
      }
      const ms = retryAfter(headers, now);
      expect(Number.isSafeInteger(ms) && ms >= 0 && ms <= day).toBe(true);
    }),
  ));

describe("retryPolicy", () => {
  test("lets later blocks win key by key", () => {
    const policy = retryPolicy({ jitter_ratio: 0.25 }, undefined, { max_attempts: 3 }, { max_attempts: 2 });
    expect(policy).toEqual({ ...defaultRetry, jitter_ratio: 0.25, max_attempts: 2 });
  });

  test("takes the block of published guides letter for letter", () => {
    const pasted = {
      max_attempts: 6,
      base_delay_ms: 400,
      max_delay_ms: 30_000,
      jitter_ratio: 0.25,
      respect_retry_after: true,
      retry_on_status: [408, 409, 425, 429, 500, 502, 503, 504],
      no_retry_on_status: [400, 401, 403, 404],
      dedupe_key: "{{issue_key}}:{{transition_id}}",
    };
    expect(retryPolicy(retryOptions.parse(pasted))).toEqual({ ...defaultRetry, jitter_ratio: 0.25 });
  });
});

const known = (status: number) => judged(judgeStatus(status), status, defaultRetry).verdict;

describe("what a status means", () => {
  test.each(everyStatus)("%i", (status) => {
    const expected =
      status >= 200 && status < 300
        ? "sent"
        : defaultRetry.retry_on_status.includes(status) || status >= 500
          ? "retry"
          : "dead";
    expect(known(status)).toBe(expected);
  });

  test("what the configuration lists is retried, or not, whatever the adapter thinks", () => {
    const lists = { retry_on_status: [404, 418], no_retry_on_status: [500, 418] };
    expect(judged(dead("gone"), 404, lists)).toEqual(retry("gone"));
    expect(judged(retry("busy"), 500, lists)).toEqual(dead("busy"));
    expect(judged(retry("teapot"), 418, lists)).toEqual(dead("teapot"));
    expect(judged(retry("busy"), 502, lists)).toEqual(retry("busy"));
  });

  test("success, a plainer layout and a lost handle are the adapter's to see", () => {
    const lists = { retry_on_status: [200, 400, 404], no_retry_on_status: [200, 400, 404] };
    expect(judged(sent("h"), 200, lists)).toEqual(sent("h"));
    expect(judged(degrade("layout"), 400, lists)).toEqual(degrade("layout"));
    expect(judged(handleLost("gone"), 404, lists)).toEqual(handleLost("gone"));
  });

  test("a server's fault leaves open whether it took effect, a refusal does not", () => {
    expect([500, 502, 504, 408, 409].every(leavesOpen)).toBe(true);
    expect([429, 503, 501, 400, 403, 425].some(leavesOpen)).toBe(false);
  });
});

describe("a rate", () => {
  test("lets a burst through, then one at a time", () => {
    const bucket = bucketOf("2/s");
    const take = (at: number) => {
      const wait = bucket.wait(at);
      if (wait === 0) bucket.take(at);
      return wait;
    };
    expect([0, 0, 0].map(take)).toEqual([0, 0, 500]);
    expect([500, 500, 10_000, 10_000, 10_000].map(take)).toEqual([0, 500, 0, 0, 500]);
  });
  test("is not fooled by a clock that jumps back", () => {
    const bucket = bucketOf("60/m");
    for (let i = 0; i < 60; i++) bucket.take(5000);
    expect(bucket.wait(0)).toBe(1000);
    expect(bucket.wait(1000)).toBe(0);
  });
  test("is none where none is said", () => {
    const bucket = bucketOf(undefined);
    bucket.take(0);
    expect(bucket.wait(0)).toBe(0);
  });
});
