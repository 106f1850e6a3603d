import { existsSync, readFileSync } from "node:fs";
import { z } from "zod";
import { MeshError } from "../core/error.ts";

// Beside every secret that was ever rotated lies `<file>.rotation`: what is under way, and the digests of what is over. It
// holds no value, has the owner and mode of the secret itself, and appears whole, as every file here does.

/** The least pressing first. */
export const reasons = ["planned", "staff", "incident"] as const;
export const operations = ["start", "commit", "undo", "abort"] as const;

const staged = z.object({ key_id: z.string(), at: z.number(), reason: z.enum(reasons) });
const retired = z.object({
  key_id: z.string(),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  at: z.number(),
  how: z.enum(["committed", "aborted"]),
});

const schema = z.object({
  v: z.literal(1),
  /** The operation that was begun; whoever finds it here finishes it first. */
  doing: z.enum(operations).nullable(),
  /** The value that was staged last, committed by now or not. */
  staged: staged.nullable(),
  /** That a test post with a value was taken by the other side. */
  proof: z.object({ key_id: z.string(), at: z.number() }).nullable(),
  retired: z.array(retired),
});

export type Ledger = z.output<typeof schema>;
export type Retired = z.output<typeof retired>;
export type Reason = (typeof reasons)[number];
export type Operation = (typeof operations)[number];

/** How long it is known that a value was retired. */
export const retiredFor = 30 * 86_400_000;

export const ledgerOf = (path: string): string => `${path}.rotation`;

const empty: Ledger = { v: 1, doing: null, staged: null, proof: null, retired: [] };

/** Reads what is written down about a secret's file; an empty ledger where nothing is. Throws `data` where it does not parse. */
export function readLedger(path: string): Ledger {
  const file = ledgerOf(path);
  if (!existsSync(file)) return empty;
  const parsed = schema.safeParse(json(readFileSync(file, "utf8")));
  if (parsed.success) return parsed.data;
  throw new MeshError("data", `${file} does not hold what meshmac rotate writes`, {
    hint: "move it aside: it only says what is under way, and which values were retired",
  });
}

/** Adds a retired value, and forgets those whose time is over. */
export function withRetired(ledger: Ledger, one: Retired): Retired[] {
  const others = ledger.retired.filter(({ digest, at }) => digest !== one.digest && one.at - at < retiredFor);
  return [...others, one];
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
