import { z } from "zod";
import type { Use } from "../../core/records.ts";
import type { TallyRow } from "../../core/use.ts";

const age = z.number();

const use: z.ZodType<Use> = z.object({
  secret: z.string(),
  key_id: z.string(),
  role: z.enum(["current", "next"]).nullable(),
  loaded_ms: age.nullable(),
  count: z.int().min(0),
  refused: z.int().min(0),
  taken: z.int().min(0).optional(),
  idle_ms: age.nullable(),
});

const tallyRow: z.ZodType<TallyRow> = z.object({
  gateway: z.string(),
  silent_ms: age,
  uses: z.array(use),
});

/** What `operator/tally` asks. */
export const tallyAsked = z.object({ gateway: z.string().min(1).max(300), uses: z.array(use).max(1000) });

/** What `operator/uses` answers. */
export const usesSaid = z.object({ tallies: z.array(tallyRow) });
