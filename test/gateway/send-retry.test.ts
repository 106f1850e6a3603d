import { describe, expect, test } from "bun:test";
import { chats } from "../../src/chats/registry.ts";
import type { Reply } from "../../src/core/post.ts";
import { defaultRetry } from "../../src/core/retry.ts";
import type { Destination } from "../../src/gateway/destinations.ts";
import { settlementOf } from "../../src/gateway/send.ts";
import { tryPost } from "../../src/gateway/send-try.ts";
import { runStates } from "../../src/core/records.ts";
import type { Claimed } from "../../src/stores/store.ts";

// Every status with every form of Retry-After, through the judging and the settling that `startSender` uses.

const now = Date.UTC(2026, 10, 20, 12, 0, 0);
const mattermost = chats.find(({ kind }) => kind === "mattermost");
if (!mattermost) throw new Error("no mattermost");

const destination: Destination = {
  name: "chat:builds",
  kind: "mattermost",
  policy: defaultRetry,
  outbound: { timeout: 1000, allow_http: false },
  canDegrade: true,
  hears: new Set(runStates),
  wants: () => true,
  post: (_claimed, { plain }) => ({ method: "POST", url: "https://chat.example", body: { plain } }),
  judge: (reply, { key, subject }) => mattermost.judge(reply, { key, subject }),
  keep: (_, sent) => sent,
};

const claimed = { key: "k", claim: "c", tries: 1, created_at: now, unsure: false, handle: null } as Claimed;

const asks: [said: string | undefined, ms: number][] = [
  [undefined, 0],
  ["2", 2000],
  ["Fri, 20 Nov 2026 12:00:30 GMT", 30_000],
  ["0", 0],
  ["-1", 0],
  ["abc", 0],
  ["999999", 86_400_000],
  ["0.3", 300],
];

async function settle(status: number, said: string | undefined, more: Partial<Claimed> = {}) {
  const sent: boolean[] = [];
  const headers = new Headers(said === undefined ? {} : { "Retry-After": said });
  const reply: Reply = { status, headers, text: status === 200 ? "ok" : "" };
  const post = { ...claimed, ...more };
  const tried = await tryPost(post, destination, {
    send: async ({ body }) => {
      sent.push(JSON.stringify(body) === '{"plain":true}');
      return { place: "chat.example …abcd", reply };
    },
    print: () => {},
    mask: (text) => text,
    now: () => now,
  });
  return { sent, settlement: settlementOf(post, destination, tried, { now, chance: 0 }) };
}

const retried = new Set([408, 409, 425, 429, 500, 502, 503, 504]);
const degraded = new Set([400, 413]);

describe.each(asks)("Retry-After %p", (said, ms) => {
  test("is heard with every status that is tried again, and with no other", async () => {
    for (let status = 100; status < 600; status++) {
      const { sent, settlement } = await settle(status, said);
      expect(sent).toEqual(degraded.has(status) ? [false, true] : [false]);
      if (status === 200) expect(settlement).toEqual({ key: "k", claim: "c", verdict: "sent" });
      else if (retried.has(status) || (status > 500 && status !== 501)) {
        expect(settlement).toMatchObject({ verdict: "later", due_in_ms: Math.max(400, ms) });
        expect(settlement.pause_until).toBe(ms > 0 ? now + ms : undefined);
      } else expect(settlement).toMatchObject({ verdict: "dead", why: expect.stringContaining(String(status)) });
    }
  });
});

test("a try of unknown outcome stays unknown, whatever comes after", async () => {
  const { settlement } = await settle(503, undefined, { unsure: true });
  expect(settlement).toMatchObject({ verdict: "later", unsure: true });
});

test("does not listen where it was told not to", () => {
  const tried = { verdict: "later" as const, unsure: false, retryAfterMs: 60_000, status: 429, place: null };
  const policy = { ...defaultRetry, respect_retry_after: false };
  const settlement = settlementOf(claimed, { policy }, tried, { now, chance: 0 });
  expect(settlement).toEqual({ key: "k", claim: "c", verdict: "later", due_in_ms: 400, unsure: false });
});
