import { z } from "zod";
import type { TallyRow } from "../../core/use.ts";

const age = z.number();

const tallyRow: z.ZodType<TallyRow> = z.object({
  gateway: z.string(),
  silent_ms: age,
  uses: z.array(
    z.object({
      secret: z.string(),
      key_id: z.string(),
      role: z.enum(["current", "next"]).nullable(),
      loaded_ms: age.nullable(),
      count: z.int().min(0),
      refused: z.int().min(0),
      idle_ms: age.nullable(),
    }),
  ),
});

/** What `operator/uses` answers. */
export const usesSaid = z.object({ tallies: z.array(tallyRow) });
