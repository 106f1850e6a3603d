import { z } from "zod";
import { senderRange } from "../core/cidr.ts";
import type { Json, JsonObject } from "../core/json.ts";
import type { Seen } from "../core/move.ts";
import type { Post, Reply, Verdict } from "../core/post.ts";
import type { Probe } from "../core/probe.ts";
import type { Announcement } from "../core/records.ts";
import type { RetryOptions } from "../core/retry.ts";
import { secret } from "../core/secret.ts";
import { outboundOptions } from "../core/outbound.ts";
import { duration, limit, rate } from "../core/units.ts";
import type { Verify } from "../core/verify.ts";
import { buildWhen, taskOptions } from "../core/wanted.ts";

/** What every source's entry in the configuration takes beside its own keys. */
export const sourceOptions = z.strictObject({
  path: z.string().regex(/^\/[A-Za-z0-9/_.-]{1,200}$/, { error: "expected a path like /jira/openclaw" }),
  header: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,64}$/, { error: "expected a header name of letters, digits and hyphens" })
    .optional(),
  token: secret,
  allow_ips: z.array(senderRange).default([]),
  dedupe_window: duration.prefault("5m"),
  rate: rate.optional(),
  debounce: limit.optional(),
  dedupe_on: z
    .array(z.string().regex(/^[^.\s]+(\.[^.\s]+)*$/, { error: "expected a dotted path like fields.status.name" }))
    .min(1)
    .optional(),
  dry_run: z.boolean().default(false),
  cancel_when: z.array(buildWhen).default([]),
  build_when: z.array(buildWhen).min(1),
  task: taskOptions,
});

/** The same for a system that tells of builds of its own: it need not ask us for any. */
export const reporterOptions = sourceOptions.extend({
  build_when: z.array(buildWhen).default([]),
  task: taskOptions.optional(),
});

export type TrackerOptions = z.output<typeof sourceOptions>;
export type SourceOptions = TrackerOptions | z.output<typeof reporterOptions>;

/** A request that satisfies the user's own `build_when`, for `up --demo`, the ready curl line, `probe` and `doctor`. */
export interface Sample {
  headers: Record<string, string>;
  body: Json;
}

/** What `doctor` asks a tracker, and which of its findings a fault is. */
export interface TrackerProbe extends Probe {
  finding:
    | "tracker-credentials-refused"
    | "jira-site-email-mismatch"
    | "jira-base-differs"
    | "jira-token-too-strong"
    | "youtrack-token-too-strong";
  fix: string;
}

/** How a failure comment is posted to this tracker; `find` and `found` look for our marker before a comment is posted again. */
export interface Comment<Options extends z.ZodObject = z.ZodObject> {
  options: Options;
  /** Retry numbers of this tracker, between the house's defaults and the configuration. */
  retry?: RetryOptions;
  post(announcement: Announcement, options: z.output<Options>, marker: string): Post;
  find(announcement: Announcement, options: z.output<Options>, marker: string): Post;
  /** Says whether the comments that `find` asked for hold our marker, null where the reply does not tell; ask only of a 2xx one. */
  found(reply: Reply, marker: string): boolean | null;
  /** Says whether there is an issue to comment on; where unsaid, whenever the task names one. */
  takes?(announcement: Announcement): boolean;
  /** Says whether a refusal concerns this one issue or text, not the account; where unsaid, the status tells. */
  refusesPost?(reply: Reply): boolean;
  judge(reply: Reply): Verdict;
  /** Asks, without posting, whether the credentials are taken and whether they may do more than comment. */
  probes?(options: z.output<Options>): TrackerProbe[];
  /** The most milliseconds for which a token of this tracker lives, where it sets a bound and does not tell the day. */
  tokenLife?(options: z.output<Options>): number | null;
}

/** What every tracker's `reconcile` takes beside the account it asks as; without a token of its own it is the comment's. */
export const searchOptions = outboundOptions.extend({
  every: limit.prefault("5m"),
  query: z.string().min(1, { error: "expected the tracker's own query for issues in the build state" }),
  token: secret.optional(),
});

/** An issue that a search found, told of as a webhook would have told of the move that brought it where it is. */
export interface FoundMove {
  /** When it moved, epoch milliseconds. */
  at: number;
  body: JsonObject;
}

/** As whom a search is made, for what, and from when on (epoch milliseconds). */
export interface Asked<Account> {
  account: Account;
  query: string;
  since: number;
}

/** How this tracker is asked for issues in the build state. `cursor` is what the page before named as `next`. */
export interface Search<Options extends z.ZodObject = z.ZodObject, Account = z.output<Options>> {
  options: Options;
  find(asked: Asked<Account>, cursor: string | null): Post;
  /** Reads a 2xx reply; null where it is none of this tracker's. */
  read(reply: Reply, cursor: string | null): { moves: FoundMove[]; next: string | null } | null;
}

/** A source's entry as the configuration has it: its own options, and its comment's where one is configured. */
export type Entry<Options extends z.ZodObject, CommentOptions extends z.ZodObject> = z.output<Options> & {
  comment?: z.output<CommentOptions> | undefined;
};

/**
 * A system that delivers webhooks to us. It says how its door is opened and how a body reads; the house compares tokens,
 * applies `build_when`, dedupes and stores.
 */
export interface Source<
  Kind extends string = string,
  Options extends z.ZodObject = z.ZodObject,
  CommentOptions extends z.ZodObject = z.ZodObject,
> {
  kind: Kind;
  options: Options;
  /** How a door of this entry is opened. */
  verify(options: z.output<Options>): Verify;
  /** Values that arrive in place of a token because of a known fault of the sender → what to log. Never accepted. */
  fakeTokens?: Record<string, string>;
  /** What to tell a sender whose body is no valid JSON, where this system has a usual cause. */
  badJsonHint?: string;
  /** This sender gives a door up for good that refuses it: whatever is authentic is answered 200, and ignored with the reason. */
  neverRefuse?: true;
  /** Reads a verified body; throws Malformed where it has none of the shapes this system sends. */
  read(body: JsonObject, headers: Headers, options: Entry<Options, CommentOptions>): Seen;
  /** `number` ends the key, so that a caller can ask for one that was not seen before. */
  sample(options: z.output<Options>, number?: number): Sample;
  comment?: Comment<CommentOptions>;
  /** How what a gateway missed is found again. The account is the comment's, or the search's own options. */
  search?: Search<z.ZodObject, z.output<CommentOptions>>;
}

/** Declares a source with the types of its own options. */
export const defineSource = <K extends string, O extends z.ZodObject, C extends z.ZodObject>(
  source: Source<K, O, C>,
): Source<K, O, C> => source;
