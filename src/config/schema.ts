import { hostname } from "node:os";
import { z } from "zod";
import type { chatOptions } from "../chats/chat.ts";
import { chats } from "../chats/registry.ts";
import { addressRange } from "../core/cidr.ts";
import { longestLogLimit, shortestLogLimit } from "../core/log-bounds.ts";
import { type Outbound, outboundOptions } from "../core/outbound.ts";
import { endStates } from "../core/records.ts";
import { retryOptions } from "../core/retry.ts";
import { secret } from "../core/secret.ts";
import { address, duration, limit, size } from "../core/units.ts";
import { chatPager } from "../pagers/pager.ts";
import { pagers } from "../pagers/registry.ts";
import { sources } from "../sources/registry.ts";
import type { searchOptions, Source, SourceOptions } from "../sources/source.ts";
import { byKind, everyKind, type Kinds } from "./kinds.ts";
import { nodeId, storeUrl } from "./names.ts";

const commentOn = z.array(z.enum(endStates)).default(["failed", "dead"]);

export type ChatEntry = z.output<typeof chatOptions> & { kind: string };
/** A pager that is a chat posts as that chat does and has no outbound keys of its own. */
export type PagerEntry = Partial<Outbound> & { kind: string; chat?: string };
export type CommentEntry = Outbound & { on: z.output<typeof commentOn> };
export type ReconcileEntry = z.output<typeof searchOptions> & { site?: string };
export type SourceEntry = SourceOptions & { kind: string; comment?: CommentEntry; reconcile?: ReconcileEntry };

/** A source's own options with those of its comment and of its search, where it has them. */
const withTracker = (source: Source) => ({
  kind: source.kind,
  get options() {
    const { options, comment, search } = source;
    return options.extend({
      ...(comment && { comment: comment.options.extend({ on: commentOn }).optional() }),
      ...(search && { reconcile: search.options.optional() }),
    });
  },
});

const entryName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, { error: "expected a-z 0-9 _ -, at most 64, not beginning with _ or -" });
const origin = z
  .url({ protocol: /^https?$/, error: "expected a URL like https://gateway.example" })
  .transform((url) => url.replace(/\/+$/, ""));

// It stands in a line that people type into a shell: nothing in it may mean anything there.
const nodesUrl = origin.refine((url) => /^https?:\/\/[\w.:[\]/~%-]+$/.test(url), {
  error: "expected an address like https://mesh.example",
});

export const lane = z.strictObject({
  needs: z
    .array(z.string().regex(/^(\*|!?[A-Za-z0-9][\w.-]{0,63})$/, { error: "expected a label, !label or *" }))
    .default([]),
  priority: z.int().min(-1000).max(1000).default(0),
  timeout: limit.prefault("1h"),
  max_lost: z.int().min(1).max(100).default(3),
  locks: z.array(z.string()).default([]),
  limit: z.int().min(1).optional(),
  cancel_previous: z.boolean().default(false),
  max_depth: z.int().min(1).optional(),
});

const laneName = z.string().regex(/^[A-Za-z0-9][\w-]{0,63}$/, { error: "expected letters, digits, _ -, at most 64" });

const holdsRecords = (bytes: number): boolean => bytes >= 1024 ** 2;

// What reaches a gateway as any outbound entry does; a worker has waits of its own.
const way = outboundOptions.pick({
  timeout: true,
  proxy: true,
  ca_file: true,
  client_cert: true,
  client_key: true,
  allow_http: true,
});

const gateway = z.strictObject({
  listen: address.prefault("127.0.0.1:8787"),
  public_url: origin.refine((url) => url.startsWith("https://"), { error: "expected an https:// URL" }).optional(),
  admin: way
    .extend({
      listen: address.prefault("127.0.0.1:8788"),
      url: origin.optional(),
      token: secret.optional(),
    })
    .prefault({}),
  nodes: z.strictObject({ listen: address, url: nodesUrl }).optional(),
  tls: z.strictObject({ cert: z.string(), key: z.string(), client_ca: z.string().optional() }).optional(),
  trusted_proxies: z.array(addressRange).default([]),
  max_body: size.prefault("256KiB"),
  max_in_flight: z.int().min(1).default(512),
  drain_delay: duration.prefault("5s"),
  sends: z.boolean().default(true),
  spool: z
    .strictObject({ limit: size.refine(holdsRecords, { error: "expected at least 1MiB" }).prefault("256MiB") })
    .prefault({}),
});

/** What is said of the rotation of one secret, or of all that have nothing of their own. */
const calendar = z.strictObject({
  every: limit.optional(),
  owner: z.string().min(1).max(200).optional(),
  window: duration.optional(),
});

// An unquoted date in YAML arrives as a Date.
const day = z.preprocess(
  (value) => (value instanceof Date ? value.toISOString().slice(0, 10) : value),
  z.iso.date({ error: "expected a day like 2027-03-01" }).transform((text) => Date.parse(text)),
);

const rotation = calendar.extend({
  every: limit.prefault("90d"),
  quiet: duration.prefault("5m"),
  undo_for: limit.prefault("1h"),
  secrets: z.record(z.string(), calendar.extend({ expires: day.optional() })).default({}),
});

const node = way.extend({
  connect: nodesUrl.optional(),
  token: secret.optional(),
  // A host name may hold what a node's id may not.
  id: nodeId.prefault(
    () =>
      hostname()
        .replace(/[^\w.-]/g, "-")
        .replace(/^[^A-Za-z0-9]+/, "")
        .slice(0, 64) || "node",
  ),
  labels: z.array(z.string()).default([]),
  concurrency: z.int().min(1).max(64).default(1),
  scripts_dir: z.string().default("./scripts"),
  work_dir: z.string().default("./work"),
  pass_env: z.array(z.string().regex(/^[A-Za-z_]\w*$/, { error: "expected the name of a variable" })).default([]),
});

// Names of buckets and prefixes are checked by the store behind them; here only what would lead elsewhere.
const archive = z
  .strictObject({
    dir: z.string().min(1).optional(),
    s3: z
      .strictObject({
        endpoint: origin,
        bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, { error: "expected a bucket's name" }),
        prefix: z
          .string()
          .regex(/^(?!.*\.\.)[\w.-]+(\/[\w.-]+)*$/, { error: "expected letters, digits, _ . - and / between them" })
          .optional(),
        region: z
          .string()
          .regex(/^[a-z0-9-]{1,40}$/, { error: "expected a region like eu-central-1" })
          .default("us-east-1"),
        access_key_id: z.string().regex(/^\w{3,128}$/, { error: "expected the id of an access key" }),
        secret_access_key: secret,
        allow_http: z.boolean().default(false),
      })
      .optional(),
  })
  .refine(({ dir, s3 }) => (dir === undefined) !== (s3 === undefined), { error: "expected dir or s3, one of them" });

/**
 * Makes the schema of the whole configuration as users write it, parsed to what the house reads: milliseconds, bytes, addresses,
 * Secrets. Of the kinds of sources, chats and pagers it knows these; every start of a command would else pay for all of them.
 */
export const configSchema = (kinds: Kinds = everyKind) =>
  z.strictObject({
    pool: entryName.default("meshmac"),
    store: storeUrl.prefault("sqlite:./state/meshmac.db"),
    store_password: secret.optional(),
    secrets_dir: z.string().default("./secrets.d"),
    state_dir: z.string().optional(),
    keep: z
      .strictObject({
        runs: duration.prefault("30d"),
        logs: duration.prefault("14d"),
        log_bytes: size.prefault("10GiB"),
        deliveries: z.int().min(100).max(1_000_000).default(10_000),
      })
      .prefault({}),
    logs: z
      .strictObject({
        limit: size
          .refine((bytes) => bytes >= shortestLogLimit && bytes <= longestLogLimit, {
            error: "expected 64KiB to 4GiB",
          })
          .prefault("64MiB"),
        archive: archive.optional(),
      })
      .prefault({}),
    gateway: gateway.prefault({}),
    repos: z.record(z.string(), z.string().min(1)).default({}),
    sources: z.record(entryName, byKind<SourceEntry>(sources.map(withTracker), kinds)).default({}),
    lanes: z.record(laneName, lane).default({}),
    locks: z.record(z.string(), z.int().min(1).max(1000)).default({}),
    chats: z.record(entryName, byKind<ChatEntry>(chats, kinds)).default({}),
    pagers: z.record(entryName, byKind<PagerEntry>([...pagers, chatPager], kinds)).default({}),
    retry: retryOptions.optional(),
    escalate_after: duration.prefault("10m"),
    heartbeat: outboundOptions.extend({ url: secret, every: duration.prefault("1m") }).optional(),
    lease: z
      .strictObject({
        ttl: duration.prefault("90s"),
        heartbeat: duration.prefault("20s"),
        fence: duration.prefault("60s"),
      })
      .prefault({})
      .superRefine(({ ttl, heartbeat, fence }, context) => {
        if (heartbeat * 2 <= fence && fence < ttl) return;
        // With the numbers: a user may have said one of them and not know the others.
        const said = `${heartbeat / 1000} s × 2, ${fence / 1000} s, ${ttl / 1000} s`;
        context.addIssue({ code: "custom", message: `expected heartbeat × 2 ≤ fence < ttl, got ${said}` });
      }),
    node: node.prefault({}),
    rotation: rotation.prefault({}),
  });

export type Parsed = z.output<ReturnType<typeof configSchema>>;

/** The configuration once it is loaded: every path absolute, every Secret bound to the vault, the lane `default` always there. */
export type Config = Parsed & { state_dir: string };
