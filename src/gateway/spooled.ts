import { z } from "zod";
import type { Report } from "../core/records.ts";
import { entrySchema, reportSchema } from "../stores/remote/protocol.ts";
import type { Entry } from "../stores/store.ts";
import type { Unwanted } from "./withdraw.ts";
import { type Masks, maskedReport, maskedTask } from "./masked-store.ts";

/** What a delivery asked of the store, as it waits in the spool. */
export type Spooled =
  | { kind: "accept"; entry: Entry }
  | Withdrawal
  | { kind: "report"; report: Report; seen_at: number; correlation_id: string };

/** An issue that is no longer to be built: what waits of it in the queue ends. */
export interface Withdrawal extends Unwanted {
  kind: "withdraw";
  seen_at: number;
  correlation_id: string;
}

const schema: z.ZodType<Spooled> = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("accept"), entry: entrySchema }),
  z.object({
    kind: z.literal("withdraw"),
    source: z.string(),
    issue_key: z.string(),
    why: z.string(),
    debounced: z.literal(true).exactOptional(),
    seen_at: z.number(),
    correlation_id: z.string(),
  }),
  z.object({ kind: z.literal("report"), report: reportSchema, seen_at: z.number(), correlation_id: z.string() }),
]);

/** Reads a record that `spooledText` wrote; null where it is none, or one of a version that this one does not know. */
export function readSpooled(text: string): Spooled | null {
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Writes a record in one line, with no secret of ours in it, as the store would have it. */
export const spooledText = (spooled: Spooled, masks: Masks): string => JSON.stringify(masked(spooled, masks));

function masked(spooled: Spooled, masks: Masks): Spooled {
  if (spooled.kind === "accept") return { ...spooled, entry: maskedTask(spooled.entry, masks) };
  if (spooled.kind === "report") return { ...spooled, report: maskedReport(spooled.report, masks) };
  return spooled; // masked as it came in
}

/** The facts of a record that do not depend on its kind. */
export function aboutOf(spooled: Spooled): { source: string; at: number; correlation_id: string; subject: string } {
  if (spooled.kind === "report") {
    const { report, seen_at: at, correlation_id } = spooled;
    return { source: report.source, at, correlation_id, subject: report.provider_run_id };
  }
  if (spooled.kind === "withdraw") {
    const { source, seen_at: at, correlation_id, issue_key: subject } = spooled;
    return { source, at, correlation_id, subject };
  }
  const { task, seen_at: at } = spooled.entry;
  return { source: task.source, at, correlation_id: task.correlation_id, subject: task.issue_key };
}
