import type { Abilities, Chat, Given } from "../chats/chat.ts";
import { chats } from "../chats/registry.ts";
import type { Config } from "../config.ts";
import type { ChatEntry, CommentEntry } from "../config/schema.ts";
import { MeshError } from "../core/error.ts";
import { markerOf } from "../core/marker.ts";
import type { Outbound } from "../core/outbound.ts";
import type { Handle, Post, Reply, Verdict } from "../core/post.ts";
import { type Announcement, endStates, type RunState, runStates } from "../core/records.ts";
import { type RetryPolicy, retryPolicy } from "../core/retry.ts";
import { sources } from "../sources/registry.ts";
import type { Comment } from "../sources/source.ts";
import type { Claimed } from "../stores/store.ts";

/** One place where the house says something: a chat, or the comments of a source. */
export interface Destination {
  /** `chat:<name>` or `comment:<source>`. */
  name: string;
  kind: string;
  policy: RetryPolicy;
  outbound: Outbound;
  /** Whether a plainer layout exists, for when the rich one was refused. */
  canDegrade: boolean;
  wants(announcement: Announcement): boolean;
  post(claimed: Claimed, given: { plain: boolean }): Post;
  judge(reply: Reply, claimed: Claimed): Verdict;
  /** Which handle to keep once a post is sent: an edited message and the root of a thread stay what they are. */
  keep(claimed: Claimed, sent: Handle | undefined): Handle | undefined;
  /** How to look for this very post at the provider, where its mark can be found. */
  search?: { find(claimed: Claimed): Post; found(reply: Reply, claimed: Claimed): boolean };
}

export type Destinations = Map<string, Destination>;

/** Makes every chat and comment that the configuration names; `mask` hides, once more before sending, secrets learnt since the post was made. */
export function destinationsFrom(
  config: Pick<Config, "chats" | "sources" | "retry">,
  { mask }: { mask: (text: string) => string },
): Destinations {
  const all = [
    ...Object.entries(config.chats).map(([name, entry]) => chatAt(name, entry, config.retry)),
    ...Object.entries(config.sources).flatMap(([name, { kind, comment }]) =>
      comment ? [commentAt(name, kind, comment, config.retry)] : [],
    ),
  ];
  return new Map(
    all.map((destination) => [
      destination.name,
      { ...destination, post: (claimed, given) => destination.post(maskedAgain(claimed, mask), given) },
    ]),
  );
}

function chatAt(name: string, entry: ChatEntry, retry: Config["retry"]): Destination {
  const chat: Chat | undefined = chats.find(({ kind }) => kind === entry.kind);
  if (!chat) throw new MeshError("bug", `chat ${JSON.stringify(name)} has a kind without an adapter`);
  const can = chat.can(entry);
  const policy = entry.policy ?? (can.edit ? "update" : can.thread ? "thread" : "post");
  const heard = chatStates(can, entry.states);
  const given = ({ key, subject, handle }: Claimed, plain: boolean): Given => ({
    key,
    subject,
    plain,
    threaded: policy === "thread",
    ...(policy === "update" && handle !== null && { edit: handle }),
    ...(policy === "thread" && handle !== null && { thread: handle }),
  });
  return {
    name: `chat:${name}`,
    kind: chat.kind,
    policy: retryPolicy(chat.retry, retry, entry.retry),
    outbound: entry,
    canDegrade: true,
    wants: ({ state, lane, source }) =>
      heard.has(state) &&
      (entry.lanes === undefined || (lane !== null && entry.lanes.includes(lane))) &&
      (entry.sources === undefined || entry.sources.includes(source)),
    post: (claimed, { plain }) => chat.post(claimed.announcement, entry, given(claimed, plain)),
    judge: (reply, claimed) => chat.judge(reply, given(claimed, false)),
    keep: ({ handle }, sent) =>
      policy === "post" ? undefined : policy === "thread" ? (handle ?? sent) : (sent ?? handle ?? undefined),
  };
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
    wants: ({ state, source, issue_key, issue_id }) =>
      source === name && on.has(state) && (issue_key !== null || issue_id !== null),
    post: ({ announcement, key }) => comment.post(announcement, entry, markerOf(key)),
    judge: (reply) => comment.judge(reply),
    keep: (_, sent) => sent,
    search: {
      find: ({ announcement }) => comment.find(announcement, entry),
      found: (reply, { key }) => comment.found(reply, markerOf(key)),
    },
  };
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
