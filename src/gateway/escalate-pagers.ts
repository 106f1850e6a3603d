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
import { Secret } from "../core/secret.ts";
import { pagers } from "../pagers/registry.ts";
import type { Alert, Pager } from "../pagers/pager.ts";
import { outboundOf, setupOf } from "./destinations.ts";

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
  /** Names its options and secrets: another name means that a page which failed may go out now. */
  setup(): string;
  /** The id of the key that an open page is tied to, or null. */
  keyId(): string | null;
  /** Describes the request, with the key that a page was opened with where that one is still known; null where this pager leaves resolving to people. */
  message(what: What, alert: Alert, openedWith?: string | null): Message | null;
  /** Whether that key is the present one or still known. */
  knows(openedWith: string): boolean;
}

/** A value of a secret by its key id, one from before the last change too; null where it is gone. */
type Earlier = (secret: string, keyId: string) => string | null;

/** Makes every pager that the configuration names; `keyIdOf` names a secret's present value, `earlier` finds one that a page was opened with. */
export function pagersFrom(
  config: Pick<Config, "pagers" | "chats" | "retry">,
  keyIdOf: (secret: string) => string,
  earlier: Earlier = () => null,
): PagerAt[] {
  return Object.entries(config.pagers).map(([name, entry]) => {
    if (entry.chat !== undefined) return chatPagerAt(name, entry, config.chats[entry.chat], config.retry, keyIdOf);
    return pagerAt(name, entry, config.retry, keyIdOf, earlier);
  });
}

function pagerAt(
  name: string,
  entry: PagerEntry,
  retry: Config["retry"],
  keyIdOf: (secret: string) => string,
  earlier: Earlier,
): PagerAt {
  const pager: Pager | undefined = pagers.find(({ kind }) => kind === entry.kind);
  if (!pager) throw new MeshError("bug", `pager ${JSON.stringify(name)} has a kind without an adapter`);
  const judge = (reply: Reply) => pager.judge(reply);
  return {
    name,
    kind: pager.kind,
    policy: retryPolicy(pager.retry, retry, entry.retry),
    outbound: { ...entry, timeout: entry.timeout ?? 10_000, allow_http: entry.allow_http ?? false },
    setup: setupOf({ ...entry, house: retry }, keyIdOf),
    keyId,
    knows: (openedWith) => openedWith === keyId() || entryWith(openedWith) !== null,
    message(what, alert, openedWith = null) {
      if (what === "page") return { post: pager.page(alert, entry), judge };
      const as = openedWith === null || openedWith === keyId() ? entry : (entryWith(openedWith) ?? entry);
      return pager.resolve ? { post: pager.resolve(alert, as), judge } : null;
    },
  };

  function keyId(): string | null {
    const secret = pager?.keyOf?.(entry);
    try {
      return secret ? keyIdOf(secret.name) : null;
    } catch {
      return null; // unreadable now: the page itself will fail and say so
    }
  }

  /** The entry as it was while the key with this id was its own. */
  function entryWith(id: string): PagerEntry | null {
    const secret = pager?.keyOf?.(entry);
    const text = secret ? earlier(secret.name, id) : null;
    if (!secret || text === null) return null;
    const before = new Secret(secret.name, () => text);
    return Object.fromEntries(
      Object.entries(entry).map(([key, value]) => [key, value === secret ? before : value]),
    ) as PagerEntry;
  }
}

function chatPagerAt(
  name: string,
  pager: PagerEntry,
  entry: ChatEntry | undefined,
  retry: Config["retry"],
  keyIdOf: (secret: string) => string,
): PagerAt {
  const { kind, retry: own } = pager;
  const chat: Chat | undefined = chats.find((one) => one.kind === entry?.kind);
  if (!entry || !chat) throw new MeshError("bug", `pager ${JSON.stringify(name)} names a chat that is not there`);
  return {
    name,
    kind,
    policy: retryPolicy(chat.retry, retry, entry.retry, own),
    outbound: outboundOf(chat, entry),
    setup: setupOf({ ...entry, pager, house: retry }, keyIdOf),
    keyId: () => null,
    knows: () => true,
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
