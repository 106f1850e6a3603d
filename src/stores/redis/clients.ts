import { Cluster, Redis } from "ioredis";
import type { StoreUrl } from "../../core/store-url.ts";
import type { Password } from "./password.ts";

export type RedisUrl = Extract<StoreUrl, { kind: "redis" }>;
export type Client = Redis | Cluster;

/** `asks` fails fast, its callers say 503; `listens` blocks, and gives a dead line up after 15 s. */
export type Profile = "asks" | "listens";

/** How long a verb may take before its caller hears that Redis did not answer. */
export const patience_ms = 3000;

const reconnect = (times: number): number => Math.min(50 * 2 ** Math.min(times, 6), 2000);

// A command whose reply was lost is sent again by ioredis; every script is harmless when repeated.
const asks = { maxRetriesPerRequest: 1, commandTimeout: patience_ms, socketTimeout: 10_000 };
const listens = {
  maxRetriesPerRequest: null,
  blockingTimeout: 15_000,
  blockingTimeoutGrace: 10_000,
  socketTimeout: 15_000,
};

const common = (url: RedisUrl, profile: Profile) => ({
  ...(profile === "asks" ? asks : listens),
  connectTimeout: patience_ms,
  disableClientInfo: true, // CLIENT SETINFO came with 7.2
  // After a failover the old master answers READONLY: connect anew, and send the command again.
  reconnectOnError: (error: Error) => (error.message.startsWith("READONLY") ? (2 as const) : false),
  ...(url.user && { username: url.user }),
});

const queues = (profile: Profile) => ({
  enableOfflineQueue: profile === "listens",
  enableAutoPipelining: profile === "asks",
});

/** Opens one connection that goes on trying for ever, in steps of at most 2 s; after a rotation it uses the new password. */
export function openClient(url: RedisUrl, profile: Profile, password: Password | undefined): Redis {
  const [first = { host: "localhost", port: 6379 }] = url.hosts;
  const client = new Redis({
    ...common(url, profile),
    ...(password && { password: password.text() }),
    ...queues(profile),
    ...(url.master ? { sentinels: url.hosts, name: url.master } : first),
    ...(url.tls && { tls: { servername: first.host } }),
    db: url.db,
    retryStrategy: reconnect,
  });
  password?.follow(client);
  return client;
}

/** Opens the same to a cluster; all keys of a pool are in one slot, so one of its masters answers everything. */
export function openCluster(url: RedisUrl, profile: Profile, password: Password | undefined): Cluster {
  const cluster = new Cluster(url.hosts, {
    ...queues(profile),
    redisOptions: {
      ...common(url, profile),
      // Asked for every node that is met.
      ...(password && {
        get password() {
          return password.text();
        },
      }),
      ...(url.tls && { tls: {} }),
    },
    clusterRetryStrategy: reconnect,
    slotsRefreshTimeout: patience_ms,
    maxRedirections: 5,
  });
  if (password) cluster.on("+node", (node: Redis) => password.follow(node));
  return cluster;
}

/** Resolves when the client is ready, or after `ms`. */
export function settled(client: Client, ms: number): Promise<void> {
  if (client.status === "ready") return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    client.once("ready", done);
    client.once("reconnecting", done);
    function done(): void {
      clearTimeout(timer);
      client.off("ready", done).off("reconnecting", done);
      resolve();
    }
  });
}
