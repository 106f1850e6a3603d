import { afterEach, expect, test } from "bun:test";
import { Redis } from "ioredis";
import { onRedis } from "./redis.ts";
import { Ward } from "./ward.ts";

const wards: Ward[] = [];
afterEach(async () => {
  for (const ward of wards.splice(0)) await ward.close();
});

async function admitted(): Promise<Ward> {
  const ward = await Ward.open();
  wards.push(ward);
  return ward;
}

test.each<[string, Parameters<typeof onRedis>[1], string[]]>([
  ["that syncs every write", {}, []],
  ["that syncs each second", { appendfsync: "everysec" }, ["store-not-power-safe"]],
  ["that does not sync while it rewrites", { more: { "no-appendfsync-on-rewrite": "yes" } }, ["store-not-power-safe"]],
  ["with a bound that is far away", { more: { maxmemory: "1gb" } }, []],
  ["that would evict, and has no bound", { more: { "maxmemory-policy": "allkeys-lru" } }, []],
  [
    "that keeps nothing and evicts",
    { appendonly: "no", more: { maxmemory: "1gb", "maxmemory-policy": "allkeys-lru" } },
    ["store-volatile", "store-evicts"],
  ],
])("a Redis %s", async (_, options, ids) => {
  const ward = await admitted();
  await onRedis(ward, options);
  expect(await ward.ids()).toEqual(ids);
});

test("a user with the rights that the docs name is not too strong, and what it may not read is no finding", async () => {
  const ward = await admitted();
  const { port } = await onRedis(ward, { appendfsync: "everysec" }, "mesh-node");
  const redis = new Redis({ port, host: "127.0.0.1" });
  const rights = "+@read +@write +@connection +eval +evalsha +time -@dangerous +info".split(" ");
  await redis.call("ACL", "SETUSER", "mesh-node", "on", "nopass", "resetchannels", "~{acme-ios}:*", "-@all", ...rights);
  redis.disconnect();
  const { user, spare, settings, neighbours } = (await ward.scene().survey()) ?? {};
  expect({ user, spare, settings }).toEqual({ user: null, spare: null, settings: {} });
  expect(neighbours).toEqual([]);
  expect(await ward.ids()).toEqual([]);
});
