import { chats } from "../chats/registry.ts";
import type { Chat, Given } from "../chats/chat.ts";
import type { Config } from "../config.ts";
import type { ChatEntry, PagerEntry } from "../config/schema.ts";
import { MeshError } from "../core/error.ts";
import { sha256 } from "../core/intent.ts";
import type { Outbound } from "../core/outbound.ts";
import type { Post, Reply, Verdict } from "../core/post.ts";
import type { Announcement } from "../core/records.ts";
import { type RetryPolicy, retryPolicy } from "../core/retry.ts";
import { pagers } from "../pagers/registry.ts";
import type { Alert, Pager } from "../pagers/pager.ts";
import { outboundOf } from "./destinations.ts";

export type What = "page" | "resolve";

/** One request to a pager, and how its reply reads. */
export interface Message {
  post: Post;
  /** The same in a plainer layout, for when the rich one is refused. */
  plainer?: Post;
  judge(reply: Reply): Verdict;
}

/** One configured way to a human. */
export interface PagerAt {
  name: string;
  kind: string;
  policy: RetryPolicy;
  outbound: Outbound;
  /** The id of the key that an open page is tied to, or null. */
  keyId(): string | null;
  /** Describes the request; null where this pager leaves resolving to people. */
  message(what: What, alert: Alert): Message | null;
}

/** Makes every pager that the configuration names; `keyIdOf` names a secret's present value. */
export function pagersFrom(
  config: Pick<Config, "pagers" | "chats" | "retry">,
  keyIdOf: (secret: string) => string,
): PagerAt[] {
  return Object.entries(config.pagers).map(([name, entry]) => {
    if (entry.chat !== undefined) return chatPagerAt(name, entry, config.chats[entry.chat], config.retry);
    return pagerAt(name, entry, config.retry, keyIdOf);
  });
}

function pagerAt(
  name: string,
  entry: PagerEntry,
  retry: Config["retry"],
  keyIdOf: (secret: string) => string,
): PagerAt {
  const pager: Pager | undefined = pagers.find(({ kind }) => kind === entry.kind);
  if (!pager) throw new MeshError("bug", `pager ${JSON.stringify(name)} has a kind without an adapter`);
  const judge = (reply: Reply) => pager.judge(reply);
  return {
    name,
    kind: pager.kind,
    policy: retryPolicy(pager.retry, retry, entry.retry),
    outbound: { ...entry, timeout: entry.timeout ?? 10_000, allow_http: entry.allow_http ?? false },
    keyId() {
      const secret = pager.keyOf?.(entry);
      try {
        return secret ? keyIdOf(secret.name) : null;
      } catch {
        return null; // unreadable now: the page itself will fail and say so
      }
    },
    message(what, alert) {
      if (what === "page") return { post: pager.page(alert, entry), judge };
      return pager.resolve ? { post: pager.resolve(alert, entry), judge } : null;
    },
  };
}

function chatPagerAt(
  name: string,
  { kind, retry: own }: PagerEntry,
  entry: ChatEntry | undefined,
  retry: Config["retry"],
): PagerAt {
  const chat: Chat | undefined = chats.find((one) => one.kind === entry?.kind);
  if (!entry || !chat) throw new MeshError("bug", `pager ${JSON.stringify(name)} names a chat that is not there`);
  return {
    name,
    kind,
    policy: retryPolicy(chat.retry, retry, entry.retry, own),
    outbound: outboundOf(chat, entry),
    keyId: () => null,
    message(what, alert) {
      // A page is a message of its own: it neither edits nor answers another.
      const given: Given = { key: sha256(JSON.stringify([what, alert.key, alert.at])), subject: alert.key };
      const said = announcementOf(what, alert);
      const post = (plain: boolean): Post => ({
        ...chat.post(said, entry, { ...given, plain }),
        ...(chat.refuseUrl && { refuse: chat.refuseUrl }),
      });
      return { post: post(false), plainer: post(true), judge: (reply) => chat.judge(reply, given) };
    },
  };
}

/** What a chat says of an alert: it knows announcements, so the fault is one. */
const announcementOf = (what: What, alert: Alert): Announcement => ({
  workflow: alert.about,
  state: what === "page" ? "failed" : "succeeded",
  branch: "page",
  commit: null,
  run_url: alert.links[0]?.href ?? null,
  mesh_node_id: alert.source,
  provider_run_id: alert.key,
  source: "meshmac",
  issue_key: null,
  issue_id: null,
  issue_url: null,
  summary: what === "page" ? alert.summary : `resolved: ${alert.summary}`,
  requested_by: null,
  lane: null,
  attempt: null,
  failing_target: null,
  duration_ms: null,
  reason: null,
  log_tail: [],
  idempotency_key: null,
  at: alert.at,
});
