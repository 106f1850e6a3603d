import type { Abilities, Chat, Given } from "../chats/chat.ts";
import { chats } from "../chats/registry.ts";
import type { Config } from "../config.ts";
import type { ChatEntry, CommentEntry } from "../config/schema.ts";
import { MeshError } from "../core/error.ts";
import { sha256 } from "../core/intent.ts";
import { markerOf } from "../core/marker.ts";
import type { Outbound } from "../core/outbound.ts";
import type { Handle, Post, Reply, Verdict } from "../core/post.ts";
import { type Announcement, endStates, type RunState, runStates } from "../core/records.ts";
import { type RetryPolicy, retryPolicy } from "../core/retry.ts";
import { Secret } from "../core/secret.ts";
import { sources } from "../sources/registry.ts";
import type { Comment } from "../sources/source.ts";
import type { Claimed } from "../stores/store.ts";

/** One place where the house says something: a chat, or the comments of a source. */
export interface Destination {
  /** `chat:<name>`, `chat:<name>/reply` or `comment:<source>`. */
  name: string;
  kind: string;
  policy: RetryPolicy;
  outbound: Outbound;
  /** Whether a plainer layout exists, for when the rich one was refused. */
  canDegrade: boolean;
  /** A post with a handle changes the message of that handle. */
  edits?: boolean;
  /** Where a failure is also told, in the thread of the message that was changed. */
  follow?: string;
  /** Names its options and secrets, so that a circuit is probed when one of them has changed. */
  setup?(): string;
  /** Whether a refusal may concern the one post, not the destination. */
  refusesPost?(reply: Reply): boolean;
  /** The states that it may want to hear of; of others nobody needs to ask. */
  hears: ReadonlySet<RunState>;
  wants(announcement: Announcement): boolean;
  post(claimed: Claimed, given: { plain: boolean }): Post;
  judge(reply: Reply, claimed: Claimed): Verdict;
  /** Which handle to keep once a post is sent: an edited message and the root of a thread stay what they are. */
  keep(claimed: Claimed, sent: Handle | undefined): Handle | undefined;
  /** How to look for this very post at the provider, where its mark can be found. */
  search?: { find(claimed: Claimed): Post; found(reply: Reply, claimed: Claimed): boolean | null };
}

export type Destinations = Map<string, Destination>;

/** Makes every chat and comment that the configuration names; `mask` hides, once more before sending, secrets learnt since the post was made. */
export function destinationsFrom(
  config: Pick<Config, "chats" | "sources" | "retry">,
  { mask, keyId = () => "" }: { mask: (text: string) => string; keyId?: (secret: string) => string },
): Destinations {
  const all = [
    ...Object.entries(config.chats).flatMap(([name, entry]) => {
      const setup = setupOf(entry, keyId);
      return chatAt(name, entry, config.retry).map((chat) => ({ ...chat, setup }));
    }),
    ...Object.entries(config.sources).flatMap(([name, { kind, comment }]) =>
      comment ? [{ ...commentAt(name, kind, comment, config.retry), setup: setupOf(comment, keyId) }] : [],
    ),
  ];
  return new Map(
    all.map((destination) => [
      destination.name,
      { ...destination, post: (claimed, given) => destination.post(maskedAgain(claimed, mask), given) },
    ]),
  );
}

/** A chat, and where failures are to be answered under its message too, that thread. */
function chatAt(name: string, entry: ChatEntry, retry: Config["retry"]): Destination[] {
  const chat: Chat | undefined = chats.find(({ kind }) => kind === entry.kind);
  if (!chat) throw new MeshError("bug", `chat ${JSON.stringify(name)} has a kind without an adapter`);
  const can = chat.can(entry);
  const policy = entry.policy ?? (can.edit ? "update" : can.thread ? "thread" : "post");
  const heard = chatStates(can, entry.states);
  const given = ({ key, subject, handle, again }: Claimed, plain: boolean): Given => ({
    // What is sent once more on purpose is no repeat to the provider.
    key: again === undefined ? key : sha256(`${key} ${again}`),
    subject,
    plain,
    threaded: policy === "thread",
    ...(policy === "update" && handle !== null && { edit: handle }),
    ...(policy === "thread" && handle !== null && { thread: handle }),
  });
  const at = (as: (claimed: Claimed, plain: boolean) => Given) => ({
    kind: chat.kind,
    policy: retryPolicy(chat.retry, retry, entry.retry),
    outbound: outboundOf(chat, entry),
    canDegrade: true,
    post: (claimed: Claimed, { plain }: { plain: boolean }): Post => ({
      ...chat.post(claimed.announcement, entry, as(claimed, plain)),
      ...(chat.refuseUrl && { refuse: chat.refuseUrl }),
    }),
    judge: (reply: Reply, claimed: Claimed) => chat.judge(reply, as(claimed, false)),
  });
  const reply = `chat:${name}/reply`;
  const answers = entry.broadcast && policy === "update" && can.thread;
  const main: Destination = {
    ...at(given),
    name: `chat:${name}`,
    edits: policy === "update",
    ...(answers && { follow: reply }),
    hears: heard,
    wants: ({ state, lane, source }) =>
      heard.has(state) &&
      (entry.lanes === undefined || (lane !== null && entry.lanes.includes(lane))) &&
      (entry.sources === undefined || entry.sources.includes(source)),
    keep: ({ handle }, sent) =>
      policy === "post" ? undefined : policy === "thread" ? (handle ?? sent) : (sent ?? handle ?? undefined),
  };
  if (!answers) return [main];
  // Nothing is announced there: its posts are made when a message was changed.
  return [main, { ...at(inThread), name: reply, hears: new Set(), wants: () => false, keep: () => undefined }];
}

/** How a chat's entry goes out: at the rate that it names, else at the one that its kind is known to take. */
export function outboundOf(chat: Chat, entry: ChatEntry): Outbound {
  const rate = entry.rate ?? chat.rate?.(entry);
  return rate === undefined ? entry : { ...entry, rate };
}

function commentAt(name: string, kind: string, entry: CommentEntry, retry: Config["retry"]): Destination {
  const comment: Comment | undefined = sources.find((source) => source.kind === kind)?.comment;
  if (!comment) throw new MeshError("bug", `source ${JSON.stringify(name)} takes no comment`);
  const on = withDead(entry.on);
  return {
    name: `comment:${name}`,
    kind,
    policy: retryPolicy(comment.retry, retry, entry.retry),
    outbound: entry,
    canDegrade: false,
    refusesPost: (reply) => comment.refusesPost?.(reply) ?? ofTheIssue.has(reply.status),
    hears: on,
    wants: (announcement) =>
      announcement.source === name &&
      on.has(announcement.state) &&
      (announcement.issue_key !== null || announcement.issue_id !== null) &&
      (comment.takes?.(announcement) ?? true),
    post: ({ announcement, key }) => comment.post(announcement, entry, markerOf(key)),
    judge: (reply) => comment.judge(reply),
    keep: (_, sent) => sent,
    search: {
      find: ({ announcement, key }) => comment.find(announcement, entry, markerOf(key)),
      found: (reply, { key }) => comment.found(reply, markerOf(key)),
    },
  };
}

// What a tracker says of an issue that is gone or of a text that it does not take; a bad token is 401 or 403.
const ofTheIssue = new Set([400, 404, 409, 410, 413, 422]);

const inThread = ({ key, subject, handle }: Claimed, plain: boolean): Given => ({
  key,
  subject,
  plain,
  threaded: true,
  ...(handle !== null && { thread: handle }),
});

/** Makes what names an entry and its secrets: other options or another key make another name. */
export function setupOf(entry: object, keyId: (secret: string) => string): () => string {
  const options = new Bun.CryptoHasher("sha256").update(JSON.stringify(entry)).digest("hex").slice(0, 16);
  const secrets = Object.values(entry).filter((value) => value instanceof Secret);
  const key = ({ name }: Secret): string => {
    try {
      return keyId(name);
    } catch {
      return "unreadable";
    }
  };
  return () => [options, ...secrets.map(key)].join(" ");
}

const chatStates = (can: Abilities, said: RunState[] | undefined): Set<RunState> =>
  withDead(said ?? (can.edit || can.thread ? runStates : endStates));

/** A run that was lost too often is told wherever a failed one is. */
const withDead = (states: readonly RunState[]): Set<RunState> =>
  new Set(states.includes("failed") ? [...states, "dead"] : states);

function maskedAgain(claimed: Claimed, mask: (text: string) => string): Claimed {
  const say = <T extends string | null>(text: T) => (text === null ? text : mask(text));
  const a = claimed.announcement;
  return {
    ...claimed,
    announcement: {
      ...a,
      workflow: mask(a.workflow),
      branch: mask(a.branch),
      commit: say(a.commit),
      run_url: say(a.run_url),
      mesh_node_id: say(a.mesh_node_id),
      provider_run_id: mask(a.provider_run_id),
      issue_key: say(a.issue_key),
      issue_id: say(a.issue_id),
      issue_url: say(a.issue_url),
      summary: say(a.summary),
      requested_by: say(a.requested_by),
      failing_target: say(a.failing_target),
      reason: say(a.reason),
      log_tail: a.log_tail.map(mask),
    },
  };
}
