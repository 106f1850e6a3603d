import type { Result } from "../../src/probe/case.ts";
import { shownExpected, shownGot } from "../../src/probe/shown.ts";
import { plain, table } from "../runs/text.ts";

/** What people read: a row per question, recorded ones counted where they are right, then what differs and what to look at. */
export function describe(results: readonly Result[]): string {
  const rows = results
    .filter(({ suite, ok }) => suite !== "recorded" || !ok)
    .map(({ suite, source, name, ok, got }) => [suite, source, name, ok ? "ok" : "DIFFERS", shownGot(got)]);
  const right = results.filter(({ suite, ok }) => suite === "recorded" && ok).length;
  const differing = results.filter(({ ok }) => !ok);
  const blocks = [
    ...(rows.length > 0 ? [table(["SUITE", "SOURCE", "QUESTION", "", "ANSWER"], rows)] : []),
    ...differing.map(difference),
    `${results.length - differing.length} as expected${right > 0 ? ` (${right} of them recorded exchanges)` : ""}, ${differing.length} not`,
  ];
  return blocks.join("\n\n");
}

const difference = ({ suite, source, name, expected, got, look }: Result): string =>
  [
    `${source}: ${name} (${suite})`,
    `  expected ${shownExpected(expected)}`,
    `  got      ${shownGot(got)}${got.correlation_id === null ? "" : `, correlation_id ${got.correlation_id}`}`,
    `  look     ${look ?? ""}`,
  ]
    .map(plain)
    .join("\n");
