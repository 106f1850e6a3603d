import { tmpdir } from "node:os";
import { resolve } from "node:path";
import { loadConfig } from "../../src/config.ts";
import { MeshError } from "../../src/core/error.ts";
import { nearest } from "../../src/core/nearest.ts";
import { duration } from "../../src/core/units.ts";
import { serviceBinary } from "../../src/service/binary.ts";
import { startsWith } from "../../src/service/install.ts";
import type { Machine } from "../../src/service/machine.ts";
import {
  type Place,
  type Plan,
  placeOf,
  type Platform,
  platforms,
  planOf,
  type Servant,
  servants,
} from "../../src/service/plan.ts";
import { configArgs } from "../args.ts";

export const servantArgs = {
  ...configArgs,
  servant: { type: "positional", description: servants.join(" or "), required: true },
} as const;

export const planArgs = {
  ...servantArgs,
  user: { type: "string", description: "who runs it (you; not for a LaunchAgent)", valueHint: "name" },
  drain: {
    type: "string",
    description: "how long a stop waits for what runs (the longest timeout of the configured lanes)",
    valueHint: "duration",
  },
} as const;

interface Asked {
  servant: string;
  user?: string | undefined;
  drain?: string | undefined;
  config?: string | undefined;
}

interface For {
  platform?: Platform;
  binary?: string;
}

/** Plans what was asked for. Throws `usage` for what no service is, and where no binary or user is fit for one. */
export async function planFrom(
  asked: Asked,
  machine: Machine,
  { platform = platformOf(machine), binary }: For = {},
): Promise<Plan> {
  const servant = servantOf(asked.servant);
  const { config, file } = await loadConfig({ file: asked.config });
  if (file === null)
    throw new MeshError("config", "a service needs a configuration file", { hint: "name one with --config" });
  const { user, home, env } = machine;
  const plan = planOf({
    servant,
    platform,
    config,
    file,
    binary: binary ?? ownBinary(),
    user: asked.user ?? user,
    home,
    env,
    drain: asked.drain === undefined ? undefined : drainOf(asked.drain),
  });
  if (plan.user !== null || asked.user === undefined) return plan;
  throw new MeshError("usage", "a LaunchAgent is run by the user who installs it", { hint: "leave --user out" });
}

/**
 * Where what was asked for is on this machine. A machine has one service of each name: throws `differs` where the installed
 * one starts with another configuration than the one that was named.
 */
export function placeFrom(asked: Pick<Asked, "servant" | "config">, machine: Machine): Place {
  const place = placeOf(servantOf(asked.servant), platformOf(machine), machine.home);
  const config = asked.config === undefined ? null : resolve(asked.config);
  if (config === null || startsWith(place, machine, config) !== false) return place;
  throw new MeshError("differs", `${place.file} starts with another configuration than ${JSON.stringify(config)}`, {
    hint: "leave --config out to mean the installed one; --replace of meshmac service install puts this one in its place",
  });
}

const ownBinary = (): string =>
  serviceBinary({ path: process.execPath, compiled: Bun.isStandaloneExecutable, temp: tmpdir() });

function servantOf(word: string): Servant {
  const found = servants.find((servant) => servant === word);
  if (found) return found;
  const meant = nearest(word, servants);
  throw new MeshError("usage", `no service ${JSON.stringify(word)}`, {
    hint: meant === undefined ? `one of ${servants.join(", ")}` : `did you mean ${meant}?`,
  });
}

function platformOf({ platform }: Machine): Platform {
  const found = platforms.find((known) => known === platform);
  if (found) return found;
  throw new MeshError("usage", `no services on ${platform}`, { hint: "launchd and systemd are what there is" });
}

function drainOf(text: string): number {
  const { data, error } = duration.safeParse(text);
  if (data !== undefined) return data;
  throw new MeshError("usage", `--drain: ${error?.issues[0]?.message ?? "expected a duration"}`);
}
