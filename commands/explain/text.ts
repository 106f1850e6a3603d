import type { Facts } from "../../src/core/explain.ts";
import { humanDuration } from "../../src/core/units.ts";
import type { Explained } from "../../src/gateway/explain.ts";
import { plain } from "../runs/text.ts";

/** What people read: verified or not, what was seen, which entry held or did not and why, and what would be queued. */
export function describe(source: string, explained: Explained): string {
  const { outcome, reason, hint, facts, clauses, task, marks, report, debounce_ms, calls_off } = explained;
  const lines = [
    ["verified", verified(explained)],
    ...(facts ? seen(facts) : []),
    ...clauses.map(({ entry, holds, misses }, index) => [
      `build_when ${index + 1}`,
      `${holds ? "holds" : "does not hold"}  ${JSON.stringify(entry)}${misses.map((miss) => `\n${indent}${miss}`).join("")}`,
    ]),
    ["outcome", reason === null ? outcome : `${outcome}: ${reason}`],
    ...(calls_off ? [["would end", "the run of this issue that still waits out its debounce, if one does"]] : []),
    ...(hint === null ? [] : [["hint", hint]]),
    ...(task
      ? [
          ["key", task.idempotency_key],
          ["marks", marks.map(({ key, window_ms }) => `${key} for ${humanDuration(window_ms)}`).join(`\n${indent}`)],
          [
            "would queue",
            `${task.script} in lane ${task.lane}, ref ${task.ref}${task.repo_url && `, ${task.repo_url}`}`,
          ],
          ...(debounce_ms === null
            ? []
            : [["would wait", `${humanDuration(debounce_ms)} for a later move of the issue, which takes its place`]]),
          ...Object.entries(task.params).map(([name, value]) => [`param ${name}`, value]),
        ]
      : []),
    ...(report ? [["would announce", `${report.workflow} ${report.state}, ${report.branch}`]] : []),
  ];
  return [
    `source          ${source}`,
    ...lines.map(([name = "", text = ""]) => `${name.padEnd(indent.length - 2)}  ${text}`),
  ]
    .flatMap((line) => line.split("\n"))
    .map((line) => plain(line).trimEnd())
    .join("\n");
}

const indent = " ".repeat(16);

function verified({ verified: how }: Explained): string {
  if (how === null) return "not looked at: no --header";
  return "wrong" in how ? `no, it would be answered 401: ${how.wrong}` : `yes, by key ${how.key_id}`;
}

function seen(facts: Facts): string[][] {
  const { issueKey, event, project, status, labels, components, issueType, changed, requestedBy } = facts;
  const rows: [string, string | readonly string[]][] = [
    ["issue", issueKey],
    ["event", event],
    ["project", project],
    ["status", status],
    ["labels", labels],
    ["components", components],
    ["issue_type", issueType],
    ["changed", Object.entries(changed).map(([field, values]) => `${field} → ${values.join(", ")}`)],
    ["requested by", requestedBy],
  ];
  return rows.filter(([, value]) => value.length > 0).map(([name, value]) => [name, [value].flat().join(", ")]);
}
