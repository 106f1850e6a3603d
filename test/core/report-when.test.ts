import { expect, test } from "bun:test";
import { Malformed } from "../../src/core/move.ts";
import type { Report } from "../../src/core/records.ts";
import { reportIf, reportWhen } from "../../src/core/report-when.ts";

const report: Omit<Report, "source"> = {
  workflow: "app / CI",
  state: "failed",
  branch: "main",
  commit: null,
  run_url: null,
  mesh_node_id: null,
  provider_run_id: "1",
  failing_target: null,
};
const judged = (entries: object[] | undefined) =>
  reportIf(
    entries?.map((entry) => reportWhen().parse(entry)),
    report,
    { event: "workflow_run", project: ["acme/app", "app"], workflow: "CI" },
  );

test.each([
  ["nothing said", undefined, true],
  ["an empty list", [], false],
  ["a workflow, whatever its case", [{ workflow: "ci" }], true],
  ["any value of a key", [{ branch: ["release", "main"] }], true],
  ["every key", [{ branch: "main", state: "succeeded" }], false],
  ["any entry", [{ state: "succeeded" }, { project: "app" }], true],
  ["the event", [{ event: "workflow_run" }], true],
  ["another event", [{ event: "check_run" }], false],
])("announces by %s", (_about, entries, expected) => expect("report" in judged(entries)).toBe(expected));

test("says which value it saw of the nearest entry", () => {
  expect(judged([{ branch: "release" }])).toEqual({ ignored: 'no report_when entry matched: branch is "main"' });
});

test.each(["workflow", "provider_run_id"])("takes no report whose %s is of control characters alone", (field) => {
  const given = { ...report, [field]: "\u0000\u0007" };
  expect(() => reportIf(undefined, given, { event: "e", project: [], workflow: "" })).toThrow(Malformed);
});

test("cuts what a stranger wrote to what can be shown and stored", () => {
  const seen = reportIf(
    undefined,
    { ...report, workflow: `a\nb${"x".repeat(5000)}`, provider_run_id: "9".repeat(5000) },
    { event: "e", project: [], workflow: "" },
  );
  expect(
    "report" in seen && [
      seen.report.workflow.length,
      seen.report.workflow.slice(0, 3),
      seen.report.provider_run_id.length,
    ],
  ).toEqual([200, "a b", 128]);
});
