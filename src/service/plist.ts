import { signed, unsigned } from "./marker.ts";
import type { Plan } from "./plan.ts";

/** A value of a property list. */
type Value = string | number | boolean | string[] | { [key: string]: Value };

/**
 * Writes the property list of a LaunchAgent or LaunchDaemon: launchd.plist(5). KeepAlive on failure only, so that a drain
 * (exit 0) stays down; ProcessType Interactive, because an unset one throttles CPU and I/O of every build.
 */
export function plistOf(plan: Plan): string {
  const job: Record<string, Value> = {
    Label: plan.label,
    ProgramArguments: plan.argv,
    ...(plan.user !== null && { UserName: plan.user }),
    WorkingDirectory: plan.folder,
    EnvironmentVariables: plan.environment,
    RunAtLoad: true,
    KeepAlive: { SuccessfulExit: false },
    ThrottleInterval: 30,
    ExitTimeOut: plan.drain,
    ProcessType: "Interactive",
    ...(plan.kind === "agent" ? { LimitLoadToSessionType: "Aqua" } : { Umask: 0o077 }),
    ...(plan.log && { StandardOutPath: plan.log.stderr, StandardErrorPath: plan.log.stderr }),
  };
  const text = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    unsigned,
    '<plist version="1.0">',
    ...written(job, ""),
    "</plist>",
    "",
  ].join("\n");
  return signed(text, (words) => `<!-- ${words} -->`);
}

/** The words after the binary, as a property list of ours has them. */
export const wordsOf = (servant: string, config: string): string =>
  [servant, "--config", config].flatMap((word) => written(word, "    ")).join("\n");

function written(value: Value, indent: string): string[] {
  if (typeof value === "boolean") return [`${indent}<${value}/>`];
  if (typeof value === "number") return [`${indent}<integer>${value}</integer>`];
  if (typeof value === "string") return [`${indent}<string>${escaped(value)}</string>`];
  const inner = `${indent}  `;
  if (Array.isArray(value))
    return [`${indent}<array>`, ...value.flatMap((one) => written(one, inner)), `${indent}</array>`];
  const entries = Object.entries(value).flatMap(([key, one]) => [
    `${inner}<key>${escaped(key)}</key>`,
    ...written(one, inner),
  ]);
  return [`${indent}<dict>`, ...entries, `${indent}</dict>`];
}

const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;" };
const escaped = (text: string): string => text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
