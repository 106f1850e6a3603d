import { dirname, join } from "node:path";
import type { Config } from "../config.ts";
import { MeshError } from "../core/error.ts";
import { stderrOf } from "../log/file.ts";
import { carried } from "./carry.ts";

export const servants = ["work", "serve"] as const;
export type Servant = (typeof servants)[number];
export const platforms = ["darwin", "linux"] as const;
export type Platform = (typeof platforms)[number];

/** Where a service is. */
export interface Place {
  servant: Servant;
  /** A LaunchAgent belongs to a login session; a LaunchDaemon and a systemd unit to the machine. */
  kind: "agent" | "daemon" | "unit";
  label: string;
  /** Where its file goes. */
  file: string;
}

/** What a service runs, as whom and with what: all that its file says, and no more. */
export interface Plan extends Place {
  /** What is run: the binary, then its arguments. */
  argv: string[];
  /** Who runs it; null in an agent, which is the user's own. */
  user: string | null;
  folder: string;
  environment: Record<string, string>;
  /** What stayed behind of the environment, and why. */
  left: { name: string; why: string }[];
  /** Its log, and what it says beside it; null where journald takes both. */
  log: { file: string; stderr: string } | null;
  /** Seconds between being asked to end and being killed. */
  drain: number;
  /** Folders that it writes to. */
  writable: string[];
}

export interface Asked {
  servant: Servant;
  platform: Platform;
  config: Config;
  /** The absolute path of the configuration. */
  file: string;
  binary: string;
  user: string;
  home: string;
  /** The environment that the service is installed from. */
  env: Record<string, string | undefined>;
  /** Milliseconds to drain; else the longest timeout of the configured lanes, and for the gateway its `drain_delay`. */
  drain?: number | undefined;
}

// A script is given ten seconds between SIGTERM and SIGKILL, and its log half a minute to reach the store.
const settling = 60;
// launchd gives a job none but the system's folders; Homebrew's are what build scripts miss first.
const macPath = "/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/** Plans a service. Throws `usage` where the environment would put a secret into a file that everybody can read, or a path cannot stand in it. */
export function planOf(asked: Asked): Plan {
  const { servant, platform, config, file, binary, user, home, env } = asked;
  const mac = platform === "darwin";
  const place = placeOf(servant, platform, home);
  const { environment, left } = carried(env, servant === "work" ? config.node.pass_env : []);
  const log = mac ? logOf(servant, config, home) : null;
  const plan: Plan = {
    ...place,
    argv: [binary, servant, "--config", file],
    user: place.kind === "agent" ? null : user,
    folder: dirname(file),
    environment: {
      ...(mac && { PATH: macPath }),
      ...environment,
      ...(log && { MESHMAC_LOG_FILE: log.file }),
    },
    left,
    log,
    drain: Math.ceil((asked.drain ?? usualDrain(servant, config)) / 1000) + settling,
    writable: writableOf(servant, config),
  };
  for (const text of [
    ...plan.argv,
    plan.user ?? "",
    plan.file,
    plan.folder,
    ...plan.writable,
    ...Object.values(plan.environment),
  ])
    refuseControls(text);
  return plan;
}

/** Says where a service is on such a machine: an agent for a worker on a Mac, which builds and signs in a login session, a daemon for a gateway there, a unit on Linux. */
export function placeOf(servant: Servant, platform: Platform, home: string): Place {
  const mac = platform === "darwin";
  const label = mac ? `com.meshmac.${servant}` : `meshmac-${servant}.service`;
  const kind = !mac ? "unit" : servant === "work" ? "agent" : "daemon";
  return { servant, kind, label, file: fileOf(kind, label, home) };
}

function fileOf(kind: Place["kind"], label: string, home: string): string {
  if (kind === "unit") return `/etc/systemd/system/${label}`;
  const folder = kind === "agent" ? join(home, "Library/LaunchAgents") : "/Library/LaunchDaemons";
  return join(folder, `${label}.plist`);
}

function logOf(servant: Servant, config: Config, home: string): NonNullable<Plan["log"]> {
  const file = servant === "work" ? join(home, "Library/Logs/meshmac/work.log") : join(config.state_dir, "serve.log");
  return { file, stderr: stderrOf(file) };
}

const usualDrain = (servant: Servant, { lanes, gateway }: Config): number =>
  servant === "serve" ? gateway.drain_delay : Math.max(...Object.values(lanes).map(({ timeout }) => timeout));

function writableOf(servant: Servant, { node, state_dir, store }: Config): string[] {
  if (servant === "work") return [node.work_dir];
  return [...new Set([state_dir, ...(store.kind === "sqlite" ? [dirname(store.path)] : [])])];
}

function refuseControls(text: string): void {
  if (!/[\p{Cc}\p{Cs}]/u.test(text)) return;
  throw new MeshError("usage", `${JSON.stringify(text)} cannot stand in a service's file`, {
    hint: "it holds a control character: choose another path or value",
  });
}
