import { z } from "zod";
import { fold } from "./build-when.ts";
import { Malformed, type Seen } from "./move.ts";
import type { Report } from "./records.ts";
import { words } from "./wanted.ts";
import { shortLine } from "./words.ts";

/** One kind of finished build that is to be announced: every key of the entry must hold, by any of its values. */
export const reportWhen = () =>
  z
    .strictObject({
      event: words.optional(),
      project: words.optional(),
      workflow: words.optional(),
      branch: words.optional(),
      state: words.optional(),
    })
    .refine((entry) => Object.keys(entry).length > 0, {
      error: "an entry that names nothing would announce every build; leave report_when out for that",
      when: ({ issues }) => issues.length === 0,
    });

export type ReportWhen = z.output<ReturnType<typeof reportWhen>>;

/** What is known of a finished build beside its report, in the words of `report_when`. */
export interface Finished {
  event: string;
  project: string[];
  workflow: string;
}

/** Says whether an entry names this event, so that it is wanted although another event tells the same. */
export const namesEvent = (entries: readonly ReportWhen[] | undefined, event: string): boolean =>
  entries?.some((entry) => entry.event?.some((name) => fold(name) === fold(event))) ?? false;

/**
 * Lets a report through that any entry asks for; without entries, every one. Its texts are cut to what a chat can show. Throws
 * Malformed where nothing that can be shown is left of what names the run.
 */
export function reportIf(
  entries: readonly ReportWhen[] | undefined,
  report: Omit<Report, "source">,
  { event, project, workflow }: Finished,
): Seen {
  const seen = { event: [event], project, workflow: [workflow], branch: [report.branch], state: [report.state] };
  const keys = ["event", "project", "workflow", "branch", "state"] as const;
  let nearest: string | undefined;
  for (const entry of entries ?? []) {
    const failed = keys.find((key) => entry[key] && !meet(entry[key], seen[key]));
    if (failed === undefined) return { report: short(report) };
    nearest ??= `${failed} is ${JSON.stringify(shortLine(seen[failed][0] ?? "", 60))}`;
  }
  if (entries === undefined) return { report: short(report) };
  return { ignored: nearest ? `no report_when entry matched: ${nearest}` : "this door reports nothing" };
}

function meet(wanted: string[], seen: string[]): boolean {
  const folded = new Set(wanted.map(fold));
  return seen.some((name) => folded.has(fold(name)));
}

function short(report: Omit<Report, "source">): Omit<Report, "source"> {
  const [workflow, provider_run_id] = [line(report.workflow, 200), line(report.provider_run_id, 128)];
  if (workflow === null || provider_run_id === null) {
    throw new Malformed("the run has no name or no id that can be shown", "control characters alone name nothing");
  }
  return {
    ...report,
    workflow,
    branch: line(report.branch, 255) ?? "",
    commit: line(report.commit, 64),
    run_url: line(report.run_url, 2000),
    mesh_node_id: line(report.mesh_node_id, 64),
    provider_run_id,
    failing_target: line(report.failing_target, 300),
  };
}

const line = (text: string | null, longest: number): string | null =>
  text === null ? null : shortLine(text, longest) || null;
