import { join } from "node:path";
import { type Config, type NamedSecret, secretsOf } from "../config.ts";
import { MeshError } from "../core/error.ts";
import { nearest } from "../core/nearest.ts";
import { tokensIn } from "../secrets/list.ts";
import type { Shelf } from "../secrets/shelf.ts";

/** What a secret is for; it decides how two values live beside each other, and what proves the new one. */
export type Kind =
  | "door"
  | "admin"
  | "node"
  | "rest"
  | "connect"
  | "redis"
  | "archive"
  | "chat"
  | "signing"
  | "pager"
  | "heartbeat"
  | "tls";

/** One thing that can be rotated. */
export interface Subject {
  /** What people call it: the path under `secrets_dir`, or `tls`. */
  name: string;
  kind: Kind;
  /** The system at the other end: `jira`, `mattermost`, `pagerduty` … */
  system: string;
  /** Where the configuration names it; empty for a node's token. */
  places: string[];
  shelf: Shelf;
  every: number;
  owner: string | null;
  /** When the other side stops taking the value, epoch milliseconds, where somebody wrote that down. */
  expires: number | null;
  /** How long two values are meant to live beside each other. */
  window: number;
}

/** Whether the value is made here, or by the other side and brought. Linear draws the secrets of its webhooks itself. */
export const isMadeHere = ({ kind, system }: Pick<Subject, "kind" | "system">): boolean =>
  (kind === "door" && system !== "linear") ||
  kind === "admin" ||
  kind === "node" ||
  kind === "redis" ||
  kind === "signing";

/** Whether the value opens a door of ours. */
export const isInbound = ({ kind }: Pick<Subject, "kind">): boolean =>
  kind === "door" || kind === "admin" || kind === "node";

/**
 * What proves the new value: `use`, where both values work for a while and it is seen which one does; `trial`, where the one
 * before is used until the swap and a test post shows that the new one works; `pair`, where the files themselves show it.
 */
export function proofOf({ kind }: Pick<Subject, "kind">): "use" | "trial" | "pair" {
  if (kind === "tls") return "pair";
  return kind === "chat" || kind === "signing" || kind === "pager" || kind === "heartbeat" ? "trial" : "use";
}

/** Lists everything that a configuration lets rotate, in the order of the configuration. */
export function subjectsOf(config: Config): Subject[] {
  const named = Map.groupBy(secretsOf(config), ({ secret }) => secret.name);
  // The tokens of nodes are files that nothing names: `nodes/<id>.token`.
  const nodes = tokensIn(config.secrets_dir, "nodes").filter((name) => !named.has(name));
  return [
    ...[...named].map(([name, uses]) => subjectOf(config, name, uses)),
    ...nodes.map((name) => subjectOf(config, name, [])),
    ...(config.gateway.tls ? [tlsOf(config, config.gateway.tls)] : []),
  ];
}

/** The subject of this name. Throws `usage` with the nearest one where there is none. */
export function subjectNamed(config: Config, name: string): Subject {
  const all = subjectsOf(config);
  const found = all.find((subject) => subject.name === name);
  if (found) return found;
  const names = all.map((subject) => subject.name);
  const meant = nearest(name, names);
  throw new MeshError("usage", `no secret ${JSON.stringify(name)} in this configuration`, {
    hint: meant === undefined ? `there is ${names.join(", ") || "none"}` : `did you mean ${meant}?`,
  });
}

function subjectOf(config: Config, name: string, uses: NamedSecret[]): Subject {
  const places = uses.toSorted((one, other) => Number(other.inbound) - Number(one.inbound)).map(({ path }) => path);
  const { kind, system } = kindAt(places[0], config);
  const shelf = { name, files: [join(config.secrets_dir, ...name.split("/"))], top: config.secrets_dir };
  return { name, kind, system, places, shelf, ...calendarOf(config, name, kind) };
}

function tlsOf(config: Config, { cert, key }: { cert: string; key: string }): Subject {
  const shelf = { name: "tls", files: [cert, key], top: null, shown: [cert] };
  return {
    name: "tls",
    kind: "tls",
    system: "tls",
    places: ["gateway.tls"],
    shelf,
    ...calendarOf(config, "tls", "tls"),
  };
}

const hour = 3_600_000;
const windows: Partial<Record<Kind, number>> = { rest: hour / 4, connect: hour / 4, redis: hour / 4 };

function calendarOf(
  { rotation }: Config,
  name: string,
  kind: Kind,
): Pick<Subject, "every" | "owner" | "window" | "expires"> {
  const own = Object.hasOwn(rotation.secrets, name) ? rotation.secrets[name] : undefined;
  return {
    every: own?.every ?? rotation.every,
    owner: own?.owner ?? rotation.owner ?? null,
    expires: own?.expires ?? null,
    window: own?.window ?? rotation.window ?? windows[kind] ?? 24 * hour,
  };
}

function kindAt(place: string | undefined, { sources, chats, pagers }: Config): { kind: Kind; system: string } {
  const [room, name = "", ...rest] = (place ?? "nodes").split(".");
  const key = rest.at(-1);
  switch (room) {
    case "sources":
      return { kind: key === "token" && rest.length === 1 ? "door" : "rest", system: sources[name]?.kind ?? "" };
    case "chats": {
      const system = chats[name]?.kind ?? "";
      return { kind: key === "key" ? "signing" : "chat", system };
    }
    case "pagers": {
      const system = pagers[name]?.kind ?? "";
      return { kind: key === "key" && system === "webhook" ? "signing" : "pager", system };
    }
    case "gateway":
      return { kind: "admin", system: "admin" };
    case "logs":
      return { kind: "archive", system: "s3" };
    case "store_password":
      return { kind: "redis", system: "redis" };
    case "heartbeat":
      return { kind: "heartbeat", system: "heartbeat" };
    case "node":
      return { kind: "connect", system: "node" };
    case "nodes":
      return { kind: "node", system: "node" };
    default:
      throw new MeshError("bug", `nobody knows what the secret at ${place ?? ""} is for`);
  }
}
