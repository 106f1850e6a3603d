import { z } from "zod";
import type { Post, Reply, Verdict } from "../core/post.ts";
import { type RetryOptions, retryOptions } from "../core/retry.ts";
import type { Secret } from "../core/secret.ts";

export type Severity = "critical" | "error" | "warning" | "info";

/** What a human on call is told: one fault of the house that chat and tracker cannot, or did not, tell. */
export interface Alert {
  /** What tells this fault from others, at most 200 characters; the same when it is resolved. */
  key: string;
  /** What has the fault, in a word or two: `chat:builds`, `MOB-12`. */
  about: string;
  summary: string;
  /** Where it was seen: the gateway's `mesh_node_id`. */
  source: string;
  severity: Severity;
  /** Epoch milliseconds at which the fault was seen; a later fault of the same key has another. */
  at: number;
  links: { href: string; text: string }[];
  details: Record<string, string>;
}

/** A way to reach a human. A pager describes its request and judges the reply, as a chat does; retries and duplicates are the house's. */
export interface Pager<Kind extends string = string, Options extends z.ZodObject = z.ZodObject> {
  kind: Kind;
  options: Options;
  /** Where this pager's retries differ from the house's defaults; the configuration wins. */
  retry?: RetryOptions;
  /** The secret that an open page is tied to: a resolve that carries another one is lost on the other side. */
  keyOf?(options: z.output<Options>): Secret;
  page(alert: Alert, options: z.output<Options>): Post;
  /** Takes the page back; a pager without it leaves that to people. */
  resolve?(alert: Alert, options: z.output<Options>): Post;
  judge(reply: Reply): Verdict;
}

/** Declares a pager with the types of its own options. */
export const definePager = <Kind extends string, Options extends z.ZodObject>(
  pager: Pager<Kind, Options>,
): Pager<Kind, Options> => pager;

/** A configured chat that pages: `gateway/escalate` makes the post, for only the gateway knows both rooms. */
export const chatPager = {
  kind: "chat",
  options: z.strictObject({ kind: z.literal("chat"), chat: z.string().min(1), retry: retryOptions.optional() }),
};
