import { describe, expect, test } from "bun:test";
import { configSchema } from "../../src/config.ts";
import { outboundOptions } from "../../src/core/outbound.ts";
import type { Reply } from "../../src/core/post.ts";
import { type Destination, destinationsFrom } from "../../src/gateway/destinations.ts";
import { pagersFrom } from "../../src/gateway/escalate-pagers.ts";
import { sendPage } from "../../src/gateway/escalate-send.ts";
import { settlementOf } from "../../src/gateway/send.ts";
import { tryPost } from "../../src/gateway/send-try.ts";
import type { Claimed } from "../../src/stores/store.ts";
import { columns } from "../chats/columns.ts";
import { announced } from "../chats/timeline.ts";
import { bindAll, jiraAt } from "./stage.ts";

// Every status, with every form of Retry-After, at everything that is posted to: what is written of it.

const now = Date.UTC(2026, 10, 20, 12);
const day = 86_400_000;
const forms: [name: string, said: string | null, asked: number][] = [
  ["no Retry-After", null, 0],
  ["seconds", "7", 7000],
  ["a date", new Date(now + 30_000).toUTCString(), 30_000],
  ["0", "0", 0],
  ["a negative one", "-1", 0],
  ["garbage", "soon; or 5", 0],
  ["a huge one", "99999999999", day],
];
const statuses = Array.from({ length: 500 }, (_, at) => at + 100);
const replyWith = (status: number, said: string | null): Reply => ({
  status,
  headers: new Headers(said === null ? {} : { "Retry-After": said }),
  text: "",
});

const claimed: Claimed = {
  key: "5e".repeat(32),
  claim: "c",
  destination: "",
  subject: "run",
  seq: 1,
  state: "failed",
  announcement: announced,
  tries: 1,
  unsure: false,
  handle: null,
  why: null,
  created_at: now,
};

const youtrackAt = {
  youtrack: {
    kind: "youtrack",
    path: "/youtrack",
    token: "youtrack/inbound.token",
    build_when: [{ event: "issueUpdated" }],
    task: { script: "build-ios" },
    comment: { site: "https://acme.youtrack.cloud", token: "youtrack/rest.token" },
  },
};

const destinations: [string, Destination][] = columns.flatMap((column) => {
  using far = column.open();
  const config = configSchema().parse({ chats: { it: far.entry } });
  bindAll(config, far.texts);
  const destination = destinationsFrom(config, { mask: (text) => text }).get("chat:it");
  return destination && column.kind !== "console" ? [[column.name, destination] as const] : [];
}) as [string, Destination][];
const sources = configSchema().parse({ sources: { ...jiraAt("https://acme.atlassian.net"), ...youtrackAt } });
for (const [name, at] of destinationsFrom(sources, { mask: (text) => text })) destinations.push([name, at]);

const hands = { print: () => {}, mask: (text: string) => text, now: () => now };

describe.each(destinations)("%s", (_name, destination) => {
  test.each(forms)("judges every status with %s", async (form, said, asked) => {
    for (const status of statuses) {
      const about = `${status} with ${form}`;
      const send = async () => ({ place: "far", reply: replyWith(status, said) });
      const tried = await tryPost(claimed, destination, { ...hands, send });
      const settled = settlementOf(claimed, destination, tried, { now, chance: 0 });
      if (settled.verdict === "sent") expect([about, Math.floor(status / 100)]).toEqual([about, 2]);
      if (status === 429 || status === 503) expect([about, settled.verdict]).toEqual([about, "later"]);
      if (status < 200 || (status >= 300 && status < 400) || [401, 403].includes(status))
        expect([about, settled.verdict, tried.sign]).toEqual([about, "dead", "refused"]);
      if (settled.verdict !== "later") continue;
      // Never sooner than it asks, never for longer than a day; and the whole destination rests exactly where it asks.
      expect([about, settled.due_in_ms >= asked, settled.due_in_ms <= day]).toEqual([about, true, true]);
      expect([about, settled.pause_until]).toEqual([about, asked > 0 ? now + asked : undefined]);
    }
  });
});

const pagers = (() => {
  const config = configSchema().parse({
    pagers: {
      oncall: { kind: "pagerduty", key: "pagerduty/routing.key" },
      audit: { kind: "webhook", url: "audit/hook.url" },
    },
  });
  bindAll(config, {
    "pagerduty/routing.key": "0123456789abcdef0123456789abcdef",
    "audit/hook.url": "https://a.example",
  });
  return pagersFrom(config, () => "").map((pager) => [pager.kind, pager] as const);
})();

describe.each(pagers)("a pager of kind %s", (_kind, pager) => {
  test.each(forms)("judges every status with %s", async (form, said, asked) => {
    const alert = {
      key: "k",
      about: "a",
      summary: "s",
      source: "mac-07",
      severity: "error" as const,
      at: now,
      links: [],
      details: {},
    };
    const message = pager.message("page", alert);
    if (!message) throw new Error("no page");
    for (const status of statuses) {
      const about = `${status} with ${form}`;
      const naps: number[] = [];
      const paged = await sendPage(
        message,
        { policy: { ...pager.policy, max_attempts: 2 }, outbound: outboundOptions.parse({}) },
        { bucket: { wait: () => 0, take: () => {} }, longest: 240_000 },
        {
          ...hands,
          send: async () => ({ place: "far", reply: replyWith(status, said) }),
          sleep: async (ms) => void naps.push(ms),
          chance: () => 0,
          stopped: new AbortController().signal,
        },
      );
      if (paged?.done) expect([about, Math.floor(status / 100)]).toEqual([about, 2]);
      if (status < 200 || (status >= 300 && status < 400) || [401, 403, 404, 410].includes(status))
        expect([about, paged]).toMatchObject([about, { done: false, tries: 1 }]);
      // One that is asked to stay away for longer than a round is told in the next.
      if (status === 429) expect([about, paged?.tries]).toEqual([about, asked > 240_000 ? 1 : 2]);
      for (const ms of naps) expect([about, ms >= asked]).toEqual([about, true]);
    }
  });
});
