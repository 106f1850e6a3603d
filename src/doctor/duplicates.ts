import { join } from "node:path";
import { type NamedSecret, placesOf, secretsOf } from "../config.ts";
import type { ChatEntry } from "../config/schema.ts";
import { defineCheck, type Finding, type Scene } from "./check.ts";
import { strangers } from "./elsewhere.ts";
import { filesUnder, textOf } from "./files.ts";

type Id = "hook-shared" | "duplicate-sender";

/** Looks for whoever else tells the same people: a second entry, another gateway, a script that holds our hook. */
export const duplicates = defineCheck<Id>({
  name: "other senders",
  on: "gateway",
  faults: {
    "hook-shared": {
      severity: "warning",
      breaks: "the same is said twice in one place, and one rotation breaks both",
    },
    "duplicate-sender": { severity: "warning", breaks: "the same people are told the same twice" },
  },
  async look(scene) {
    const named = secretsOf(scene.config);
    const places = placesOf(scene.config, (secret) => scene.vault.keyId(secret));
    const here = [...sharedHooks(named, scene), ...toldTwice(places, scene), ...inFiles(named, scene)];
    return [...here, ...(Object.keys(places).length === 0 ? [] : await elsewhere(places, scene))];
  },
});

const hookOf = /^(?:chats|pagers)\.[^.]+\.url$/;

/** Hooks that two chats or pagers post to. An entry that asks for a channel of its own shares only the door, and is left alone. */
function sharedHooks(named: NamedSecret[], { config, vault }: Scene): Finding<Id>[] {
  const hooks = named.filter(({ path }) => hookOf.test(path));
  const places = Map.groupBy(hooks, ({ path, secret }) => {
    const entry = config.chats[path.split(".")[1] ?? ""];
    const channel: unknown = path.startsWith("chats.") && entry ? Reflect.get(entry, "channel") : undefined;
    return `${keyIdOf(secret.name, vault) ?? path} ${String(channel)}`;
  });
  return [...places.values()].flatMap((same) => {
    const [first, ...others] = same.map(({ path }) => path.replace(/\.url$/, ""));
    if (first === undefined || others.length === 0) return [];
    const says = `${[first, ...others].join(" and ")} have the same hook`;
    return [{ id: "hook-shared", about: first, says, fix: `make a hook of its own for ${others.join(", ")}` }];
  });
}

/** Two chats of ours that post to one place without a hook, as bots do, and may hear of the same. */
function toldTwice(places: Record<string, string>, { config: { chats } }: Scene): Finding<Id>[] {
  const bots = Object.entries(places).filter(([name]) => !hasHook(chats[name]));
  return bots.flatMap(([name, place], index) => {
    const same = bots
      .slice(0, index)
      .find(([before, other]) => other === place && bothHear(chats[before], chats[name]));
    if (!same) return [];
    const says = `chats.${name} and chats.${same[0]} post to the same channel, and some states go to both`;
    const fix = `leave one of them out, or part them by \`states\`, \`lanes\` or \`sources\``;
    return [{ id: "duplicate-sender", about: `chats.${name}`, says, fix }];
  });
}

const hasHook = (entry: ChatEntry | undefined): boolean =>
  entry !== undefined && Reflect.get(entry, "url") !== undefined;

const bothHear = (one: ChatEntry | undefined, other: ChatEntry | undefined): boolean =>
  (["states", "lanes", "sources"] as const).every((key) => meet(one?.[key], other?.[key]));

/** Nothing said means all of them. */
const meet = (one: string[] | undefined, other: string[] | undefined): boolean =>
  one === undefined || other === undefined || one.some((name) => other.includes(name));

async function elsewhere(places: Record<string, string>, scene: Scene): Promise<Finding<Id>[]> {
  const { chats, pool } = scene.config;
  const found = await strangers(scene);
  return Object.entries(places).flatMap(([name, place]) => {
    const about = `chats.${name}`;
    return found
      .filter((stranger) => stranger.places.includes(place))
      .flatMap((stranger): Finding<Id>[] => {
        const who = `gateway ${stranger.gateway}, seen by ${stranger.seen},`;
        if (stranger.pool === pool) {
          const says = `${who} is of a pool of this name, has another store, and posts there too`;
          return [
            { id: "duplicate-sender", about, says, fix: "set gateway.sends: false on one, or give both one store" },
          ];
        }
        // A bot may well speak for two pools in one channel; a hook of two cannot be rotated for one.
        if (!hasHook(chats[name])) return [];
        const says = `${who} is of the pool ${stranger.pool} and posts to the same hook`;
        return [{ id: "hook-shared", about, says, fix: `make a hook of its own for the pool ${stranger.pool}` }];
      });
  });
}

const shortest = 20;

/** Files of this machine that start programs, or are such, and hold the very hook or token of a chat. On a node, what builds can read is another finding. */
function inFiles(named: NamedSecret[], scene: Scene): Finding<Id>[] {
  const secrets = named
    .filter(({ path }) => /^chats\.[^.]+\.(url|token)$/.test(path))
    // OpenClaw's own configuration holds the token by which it knows us.
    .filter(({ path }) => scene.config.chats[path.split(".")[1] ?? ""]?.kind !== "openclaw")
    .flatMap(({ path, secret }) => {
      const part = tellingPart(scene.vault, secret.name);
      return part === null ? [] : [{ chat: path.replace(/\.\w+$/, ""), part }];
    });
  if (secrets.length === 0) return [];
  return filesOf(scene).flatMap((file) => {
    const text = textOf(file);
    return (text?.split("\n") ?? []).flatMap((line, index) => {
      const held = secrets.find(({ part }) => line.includes(part));
      if (!held) return [];
      const says = `it holds the very hook or token of ${held.chat}`;
      const fix = "take it out and say it with: meshmac notify";
      return [{ id: "duplicate-sender" as const, about: `${file}:${index + 1}`, says, fix }];
    });
  });
}

function filesOf({ config, role, platform, etc, machine: { home } }: Scene): string[] {
  const folders = [
    ...(role.node ? [] : [config.node.scripts_dir, join(home, "Library/LaunchAgents")]),
    ...(platform === "darwin" ? ["/Library/LaunchDaemons", "/Library/LaunchAgents"] : []),
    join(etc, "systemd/system"),
    join(etc, "cron.d"),
    join(home, ".config/systemd/user"),
    join(home, ".openclaw"),
  ];
  return [join(etc, "crontab"), ...folders.flatMap((folder) => filesUnder(folder))];
}

/** What of a secret would stand in a script: a hook's last part, for its host may be a variable there. */
function tellingPart(vault: Scene["vault"], name: string): string | null {
  try {
    const text = vault.read(name).trim();
    const part = URL.canParse(text) ? (new URL(text).pathname.split("/").at(-1) ?? "") : text;
    return part.length >= shortest ? part : text.length >= shortest ? text : null;
  } catch {
    return null; // its own finding says why
  }
}

function keyIdOf(name: string, vault: Scene["vault"]): string | null {
  try {
    return vault.keyId(name);
  } catch {
    return null; // its own finding says why
  }
}
