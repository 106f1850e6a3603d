import { z } from "zod";

const path = z.string().regex(/^[^.\s]+(\.[^.\s]+)*$/, { error: "expected a dotted path like issue.key" });

/** Where a body that people shape keeps what is read of an issue, as dotted paths; what is not said is looked for under its usual names. */
export const issuePaths = z.strictObject({
  issue_key: path.optional(),
  issue_id: path.optional(),
  event: path.optional(),
  project: path.optional(),
  status: path.optional(),
  labels: path.optional(),
  components: path.optional(),
  issue_type: path.optional(),
  summary: path.optional(),
  requested_by: path.optional(),
  delivery_id: path.optional(),
  transition_id: path.optional(),
});

export type IssuePaths = z.output<typeof issuePaths>;
