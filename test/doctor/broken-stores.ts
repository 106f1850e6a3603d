import { Redis } from "ioredis";
import { startProxy } from "../fakes/redis-proxy.ts";
import { startRedis } from "../fakes/redis-server.ts";
import { until } from "../stores/conformance/given.ts";
import { looksAt, onRedis } from "./redis.ts";
import type { Ward } from "./ward.ts";

/** For each finding about a Redis, a real one that is broken in exactly that way. */
export const brokenStores: Record<string, (ward: Ward) => void | Promise<void>> = {
  "store-volatile": async (ward) => void (await onRedis(ward, { appendonly: "no" })),
  "store-evicts": async (ward) =>
    void (await onRedis(ward, { more: { maxmemory: "64mb", "maxmemory-policy": "allkeys-lru" } })),
  async "store-replica"(ward) {
    const master = await startRedis();
    ward.closing.push(() => master.stop());
    await onRedis(ward, { more: { replicaof: `127.0.0.1 ${master.port}` } });
  },
  "store-cannot-write": (ward) => through(ward, "aof_last_write_status:ok", "aof_last_write_status:er"),
  "store-full": async (ward) => void (await onRedis(ward, { more: { maxmemory: "1mb" } })),
  async "store-old"(ward) {
    const proxy = await proxied(ward);
    proxy.rewrite((text) => text.replace(/redis_version:\d/, "redis_version:6"));
  },
  async "store-failover-loses"(ward) {
    const master = await onRedis(ward);
    const replica = await startRedis({ more: { replicaof: `127.0.0.1 ${master.port}` } });
    ward.closing.push(() => replica.stop());
    await says(master.port, /connected_slaves:1/);
  },
  async "store-user-strong"(ward) {
    const { port } = await onRedis(ward, {}, "gateway");
    const redis = new Redis({ port, host: "127.0.0.1" });
    await redis.call("ACL", "SETUSER", "gateway", "on", "nopass", "~*", "&*", "+@all");
    redis.disconnect();
  },
  "store-slow": async (ward) => (await proxied(ward)).delay(120),
};

async function proxied(ward: Ward) {
  const { port } = await onRedis(ward);
  const proxy = await startProxy(port);
  ward.closing.push(() => proxy.stop());
  looksAt(ward, proxy.port);
  return proxy;
}

async function through(ward: Ward, said: string, instead: string): Promise<void> {
  (await proxied(ward)).rewrite((text) => text.replace(said, instead));
}

/** Waits until INFO of this Redis says so. */
async function says(port: number, what: RegExp): Promise<void> {
  const redis = new Redis({ port, host: "127.0.0.1" });
  await until(async () => what.test(await redis.info()));
  redis.disconnect();
}
