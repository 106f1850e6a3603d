import { z } from "zod";
import { sha256 } from "../core/intent.ts";
import { outboundOptions } from "../core/outbound.ts";
import type { Handle, Post, Reply, Verdict } from "../core/post.ts";
import type { Probe } from "../core/probe.ts";
import { type Announcement, runStates } from "../core/records.ts";
import type { RetryOptions } from "../core/retry.ts";
import { Secret } from "../core/secret.ts";
import type { TextUnit } from "../core/text.ts";

export interface Limits {
  /** The most that one text of a post may hold. */
  text: number;
  unit: TextUnit;
  /** The most bytes that the whole body may take as JSON, where the provider counts those. */
  body?: number;
}

/** What every chat's entry in the configuration takes beside its own keys. */
export const chatOptions = outboundOptions.extend({
  lanes: z.array(z.string()).optional(),
  sources: z.array(z.string()).optional(),
  states: z.array(z.enum(runStates)).optional(),
  policy: z.enum(["update", "thread", "post"]).optional(),
  broadcast: z.boolean().default(false),
});

/** What a chat can do, which may hang on how its entry is configured: a webhook cannot edit where a bot can. */
export interface Abilities {
  edit: boolean;
  thread: boolean;
  silent: boolean;
  /** The same request twice makes one message. */
  idempotent: boolean;
}

/** What the house adds to an announcement. */
export interface Given {
  /** The post's own name, 64 hex digits: the same at every try, for transaction ids. */
  key: string;
  /** What the post is about, the same for all states of one run: for threads that need no handle. */
  subject: string;
  /** The earlier message to change in place (`policy: update`). */
  edit?: Handle;
  /** The first message about this subject, to answer under (`policy: thread`). */
  thread?: Handle;
  /** Says that the answers belong together although there is no handle yet (`policy: thread`). */
  threaded?: boolean;
  /** Asks for the minimal layout, after the rich one was refused. */
  plain?: boolean;
}

/**
 * A chat the gateway can post to. A chat describes its request and judges the reply; it never sends and never sees a
 * secret's text, so every adapter is testable without a network, and every post is retried, deduplicated and masked in one place.
 */
export interface Chat<Kind extends string = string, Options extends z.ZodObject = z.ZodObject> {
  kind: Kind;
  options: Options;
  limits: Limits;
  can(options: z.output<Options>): Abilities;
  /** Where this chat's retries differ from the house's defaults; the configuration wins. */
  retry?: RetryOptions;
  /** How fast this chat may be written to where its entry names no `rate`; undefined where the chat sets none. */
  rate?(options: z.output<Options>): string | undefined;
  /** Says in one sentence why these options cannot work, where their schema alone cannot tell; null where they can. */
  refuse?(options: z.output<Options>): string | null;
  /** Says in one sentence why this address, which only its secret file tells, cannot work; null where it can. Never repeats its path or query. */
  refuseUrl?(url: URL): string | null;
  /** Describes the request. */
  post(announcement: Announcement, options: z.output<Options>, given: Given): Post;
  /** Judges the reply to the post of the same `given`; a first message's handle comes with `sent`. */
  judge(reply: Reply, given: Given): Verdict;
  /** Asks whether the credentials are taken, without a post; null where this guise of the chat cannot be asked. */
  probe?(options: z.output<Options>): Probe | null;
}

/**
 * Names the place that an entry posts to by 16 hex digits, so that two can be compared without showing either: its kind,
 * what it says of channel, room or server, and its secrets, which `keyId` names.
 */
export function placeOf({ kind, options }: Chat, entry: object, keyId: (secret: Secret) => string): string {
  const own = Object.keys(options.shape).filter((key) => !(key in chatOptions.shape) && !how.has(key));
  const said = own.toSorted().map((key) => {
    const value: unknown = Reflect.get(entry, key);
    return [key, value instanceof Secret ? keyId(value) : value];
  });
  return sha256(JSON.stringify([kind, said])).slice(0, 16);
}

/** What says how it is posted, not where. */
const how = new Set(["kind", "key", "silent"]);

/** Declares a chat with the types of its own options. */
export const defineChat = <Kind extends string, Options extends z.ZodObject>(
  chat: Chat<Kind, Options>,
): Chat<Kind, Options> => chat;
