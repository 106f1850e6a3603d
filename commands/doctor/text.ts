import { humanDuration } from "../../src/core/units.ts";
import type { Examination } from "../../src/doctor/doctor.ts";
import type { Mended } from "../../src/doctor/mend.ts";
import { plain } from "../runs/text.ts";

/** What people read in 80 columns: each finding with what it breaks and what to do, what was mended or not looked at, and the gateways that live. */
export function describe({ findings, unchecked, gateways }: Examination, mended: readonly Mended[] = []): string {
  const blocks = [
    ...mended.map(({ id, about, says, done }) => [
      `${done ? "mended" : "not mended"}  ${id}  ${about}`,
      ...folded(says),
    ]),
    ...findings.map(({ severity, id, about, says, breaks, fix }) => [
      `${severity}  ${id}  ${about}`,
      ...folded(says),
      ...folded(`breaks: ${breaks}`),
      // Left whole, so that what is to be typed can be copied.
      `  fix: ${plain(fix)}`,
    ]),
    ...[...Map.groupBy(unchecked, ({ why }) => why)].map(([why, checks]) => [
      ...folded(`not checked  ${checks.map(({ check }) => check).join(", ")}`, ""),
      ...folded(reason(why, findings)),
    ]),
  ].map((lines) => lines.map(plain).join("\n"));
  const lives = gateways.map(({ gateway, facts, silent_ms }) => {
    const role =
      facts.stopped === true ? "stopped" : facts.sends === false ? "standby" : `sending ${Number(facts.sending ?? 0)}`;
    return plain(`gateway ${gateway}: ${role}, seen ${humanDuration(silent_ms)} ago, meshmac ${String(facts.version)}`);
  });
  const sum = findings.length === 0 && unchecked.length === 0 ? "nothing is wrong" : counted(findings, unchecked);
  return [...blocks, [...lives, sum].join("\n")].join("\n\n");
}

/** What a finding says already is not said again. */
function reason(why: string, findings: Examination["findings"]): string {
  const known = findings.find(({ says }) => says === why);
  return known ? `for the same reason: ${known.id}` : why;
}

const width = 80;

/** Folds a text at its spaces into lines of at most 80 columns; a word that is longer stays whole. */
function folded(text: string, indent = "  "): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of plain(text).split(" ")) {
    const more = line === "" ? `${lines.length === 0 ? indent : `${indent}  `}${word}` : `${line} ${word}`;
    if (line !== "" && Bun.stringWidth(more) > width) {
      lines.push(line);
      line = `${indent}  ${word}`;
    } else line = more;
  }
  return [...lines, line];
}

function counted(findings: Examination["findings"], unchecked: Examination["unchecked"]): string {
  const errors = findings.filter(({ severity }) => severity === "error").length;
  const rest = unchecked.length === 0 ? "" : `, ${unchecked.length} not checked`;
  return `${count(errors, "error")}, ${count(findings.length - errors, "warning")}${rest}`;
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;
