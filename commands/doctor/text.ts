import { humanDuration } from "../../src/core/units.ts";
import type { Examination } from "../../src/doctor/doctor.ts";
import type { Mended } from "../../src/doctor/mend.ts";
import { plain } from "../runs/text.ts";

/** What people read: each finding with what it breaks and what to do, what was mended or not looked at, and the gateways that live. */
export function describe({ findings, unchecked, gateways }: Examination, mended: readonly Mended[] = []): string {
  const blocks = [
    ...mended.map(({ id, about, says, done }) => `${done ? "mended" : "not mended"}  ${id}  ${about}\n  ${says}`),
    ...findings.map(
      ({ severity, id, about, says, breaks, fix }) =>
        `${severity}  ${id}  ${about}\n  ${says}\n  breaks: ${breaks}\n  fix: ${fix}`,
    ),
    ...[...Map.groupBy(unchecked, ({ why }) => why)].map(
      ([why, checks]) => `not checked  ${checks.map(({ check }) => check).join(", ")}\n  ${why}`,
    ),
  ].map((block) => block.split("\n").map(plain).join("\n"));
  const lives = gateways.map(({ gateway, facts, silent_ms }) => {
    const role =
      facts.stopped === true ? "stopped" : facts.sends === false ? "standby" : `sending ${Number(facts.sending ?? 0)}`;
    return plain(`gateway ${gateway}: ${role}, seen ${humanDuration(silent_ms)} ago, meshmac ${String(facts.version)}`);
  });
  const sum = findings.length === 0 && unchecked.length === 0 ? "nothing is wrong" : counted(findings, unchecked);
  return [...blocks, [...lives, sum].join("\n")].join("\n\n");
}

function counted(findings: Examination["findings"], unchecked: Examination["unchecked"]): string {
  const errors = findings.filter(({ severity }) => severity === "error").length;
  const rest = unchecked.length === 0 ? "" : `, ${unchecked.length} not checked`;
  return `${count(errors, "error")}, ${count(findings.length - errors, "warning")}${rest}`;
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;
