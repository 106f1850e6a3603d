import { z } from "zod";
import { outboundOptions } from "../core/outbound.ts";
import type { Handle, Post, Reply, Verdict } from "../core/post.ts";
import { type Announcement, runStates } from "../core/records.ts";
import type { RetryOptions } from "../core/retry.ts";
import type { TextUnit } from "../core/text.ts";

export interface Limits {
  text: number;
  unit: TextUnit;
}

/** What every chat's entry in the configuration takes beside its own keys. */
export const chatOptions = outboundOptions.extend({
  lanes: z.array(z.string()).optional(),
  sources: z.array(z.string()).optional(),
  states: z.array(z.enum(runStates)).optional(),
  policy: z.enum(["update", "thread", "post"]).optional(),
  broadcast: z.boolean().default(false),
});

/**
 * A chat the gateway can post to. A chat describes its request and judges the reply; it never sends and never sees a
 * secret's text, so every adapter is testable without a network, and every post is retried, deduplicated and masked in one place.
 */
export interface Chat<Kind extends string = string, Options extends z.ZodObject = z.ZodObject> {
  kind: Kind;
  options: Options;
  limits: Limits;
  can: { edit: boolean; thread: boolean; silent: boolean; idempotent: boolean };
  /** Where this chat's retries differ from the house's defaults; the configuration wins. */
  retry?: RetryOptions;
  /** Describes the request; `plain` asks for the minimal layout after the rich one was refused. */
  post(announcement: Announcement, options: z.output<Options>, given?: { handle?: Handle; plain?: boolean }): Post;
  judge(reply: Reply): Verdict;
}

/** Declares a chat with the types of its own options. */
export const defineChat = <Kind extends string, Options extends z.ZodObject>(
  chat: Chat<Kind, Options>,
): Chat<Kind, Options> => chat;
