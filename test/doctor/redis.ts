import { surveyRedis, type Survey } from "../../src/stores/redis/survey.ts";
import { type RedisOptions, type RedisServer, startRedis } from "../fakes/redis-server.ts";
import type { Ward } from "./ward.ts";

/** Starts a Redis of which nothing is wrong but for `options`, and has the ward's doctor look at it; `port` is that of what stands before it. */
export async function onRedis(
  ward: Ward,
  { more, ...options }: RedisOptions = {},
  user?: string,
): Promise<RedisServer> {
  const redis = await startRedis({ appendfsync: "always", ...options, more: { ...quiet, ...more } });
  ward.closing.push(() => redis.stop());
  looksAt(ward, redis.port, user);
  return redis;
}

/** Has the ward's doctor look at the Redis behind this port. */
export function looksAt(ward: Ward, port: number, user?: string): void {
  const url = {
    kind: "redis" as const,
    tls: false,
    hosts: [{ host: "127.0.0.1", port }],
    db: 0,
    ...(user && { user }),
  };
  let looked: Promise<Survey> | undefined;
  ward.over = { ...ward.over, survey: () => (looked ??= surveyRedis({ url, pool: "acme-ios" })) };
}

// A replica is counted as soon as it asks.
const quiet = { "repl-diskless-sync-delay": "0" };
