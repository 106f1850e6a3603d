import { MeshError } from "../../core/error.ts";
import type { Secret } from "../../core/secret.ts";
import type { GatewayRow } from "../store.ts";
import { openClient, patience_ms, type RedisUrl, settled } from "./clients.ts";
import { type Info, readInfo } from "./durability.ts";
import { failure, silent } from "./failure.ts";
import { Password } from "./password.ts";
import { fields, objectOf } from "./rows.ts";

/** What can be seen of one Redis without entrusting anything to it, fit or not. */
export interface Survey {
  /** host:port, as the configuration names it. */
  place: string;
  info: Info;
  /** Settings by name; absent where this user may not read them. */
  settings: Record<string, string>;
  /** Who we are to it; null where it does not say. */
  user: string | null;
  /** What this user may do although no verb needs it; null where it may not ask. */
  spare: string[] | null;
  /** Milliseconds that the fastest of a few round trips took. */
  ms: number;
  /** The gateways of other pools in the same database; null where this user may not look for them. */
  neighbours: (GatewayRow & { pool: string })[] | null;
}

type Client = ReturnType<typeof openClient>;

/** Looks at a Redis over a connection of its own, changes nothing, and closes it. Throws `unavailable`, or `permission` where it does not let us in. */
export async function surveyRedis({
  url,
  pool,
  password,
}: {
  url: RedisUrl;
  pool: string;
  password?: Secret | undefined;
}): Promise<Survey> {
  const place = url.hosts.map(({ host, port }) => `${host}:${port}`).join(",");
  const client = openClient(url, "asks", password && new Password(password));
  let fault: unknown = silent(place);
  client.on("error", (error: unknown) => void (fault = error));
  try {
    for (let turn = 0; turn < 2 && client.status !== "ready"; turn++) await settled(client, patience_ms);
    if (client.status !== "ready") throw fault;
    const info = readInfo(await client.info());
    const user = await asked(client, "ACL", "WHOAMI");
    return {
      place,
      info,
      settings: await settingsOf(client),
      user: typeof user === "string" ? user : null,
      spare: typeof user === "string" ? await spareRights(client, user, pool) : null,
      ms: await fastestOf(client, 5),
      neighbours: await neighboursOf(client, pool).catch(() => null),
    };
  } catch (error) {
    throw error instanceof MeshError ? error : failure(error, place);
  } finally {
    client.disconnect();
  }
}

/** The answer, or null where this user may not ask or this Redis does not know the command. */
async function asked(client: Client, command: string, ...args: string[]): Promise<unknown> {
  try {
    return await client.call(command, ...args);
  } catch {
    return null;
  }
}

const wanted = ["appendfsync", "no-appendfsync-on-rewrite", "min-replicas-to-write"];

async function settingsOf(client: Client): Promise<Record<string, string>> {
  const settings: Record<string, string> = {};
  for (const name of wanted) {
    const answer = await asked(client, "CONFIG", "GET", name);
    if (Array.isArray(answer) && typeof answer[1] === "string") settings[name] = answer[1];
  }
  return settings;
}

const dangers: [what: string, command: string[]][] = [
  ["delete every key", ["FLUSHALL"]],
  ["change its settings", ["CONFIG", "SET", "maxmemory", "0"]],
  ["make users", ["ACL", "SETUSER", "nobody"]],
  ["stop it", ["SHUTDOWN"]],
];

async function spareRights(client: Client, user: string, pool: string): Promise<string[] | null> {
  const may: string[] = [];
  const others: [string, string[]] = ["read what other programs keep there", ["HGETALL", `not-of-${pool}`]];
  for (const [what, command] of [...dangers, others]) {
    const answer = await asked(client, "ACL", "DRYRUN", user, ...command);
    if (answer === null) return null;
    if (answer === "OK") may.push(what);
  }
  return may;
}

async function fastestOf(client: Client, times: number): Promise<number> {
  let fastest = Number.POSITIVE_INFINITY;
  for (let time = 0; time < times; time++) {
    const begun = performance.now();
    await client.ping();
    fastest = Math.min(fastest, performance.now() - begun);
  }
  return fastest;
}

// A shared Redis may hold millions of keys of others; so many are looked at.
const mostPages = 1000;

async function neighboursOf(client: Client, own: string): Promise<(GatewayRow & { pool: string })[]> {
  const pools = new Set<string>();
  let cursor = "0";
  for (let page = 0; page < mostPages; page++) {
    const [next, keys] = await client.scan(cursor, "MATCH", "{*}:gateways", "COUNT", 1000);
    for (const key of keys) pools.add(key.slice(1, -"}:gateways".length));
    cursor = next;
    if (cursor === "0") break;
  }
  pools.delete(own);
  const [seconds = 0, micros = 0] = (await client.time()).map(Number);
  const now = seconds * 1000 + micros / 1000;
  const rows = await Promise.all([...pools].map((pool) => gatewaysOf(client, pool, now)));
  return rows.flat();
}

async function gatewaysOf(client: Client, pool: string, now: number) {
  const facts = await client.hgetall(`{${pool}}:gateways`);
  const seen = fields(await client.zrange(`{${pool}}:gateways_seen`, "0", "-1", "WITHSCORES"));
  return Object.entries(seen).map(([gateway, at]) => ({
    pool,
    gateway,
    facts: objectOf<GatewayRow["facts"]>(facts[gateway] ?? "{}"),
    last_seen: Number(at),
    silent_ms: Math.max(0, Math.round(now - Number(at))),
  }));
}
