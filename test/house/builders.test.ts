import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { startRedis } from "../fakes/redis-server.ts";
import { deliver, eventually, Household, jiraBody, Process } from "./household.ts";

const page = readFileSync(join(import.meta.dir, "../../docs/builders.md"), "utf8");
const password = "node-password-0123456789";

test("a node works as the Redis user that docs/builders.md describes, and that user can do no more than it says", async () => {
  const redis = await startRedis({ appendonly: "yes", appendfsync: "everysec" });
  await using _ = { [Symbol.asyncDispose]: () => redis.stop() };
  const line = /^ACL (SETUSER .*)$/m.exec(page)?.[1] ?? "";
  const admin = new Redis(redis.port, "127.0.0.1");
  await admin.call("ACL", ...line.replace("PASSWORD", password).split(" "));
  await admin.set("elsewhere", "1");

  await using house = new Household({ store: `redis://127.0.0.1:${redis.port}/0` });
  const store = `redis://mesh-node@127.0.0.1:${redis.port}/0`;
  house.secret("redis/node.password", password);
  house.write(
    "mac/meshmac.config.json",
    JSON.stringify({
      pool: "acme-ios",
      store,
      store_password: "redis/node.password",
      secrets_dir: "../secrets.d",
      node: { id: "mac-08", scripts_dir: "../scripts" },
    }),
    0o600,
  );
  const gateway = await house.serve();
  const worker = new Process(["work", "--config", join(house.dir, "mac/meshmac.config.json")], house.dir);
  try {
    await deliver(gateway.url, "jira", jiraBody("MOB-80"));
    await eventually("the run to succeed", async () => {
      const { stdout } = await house.run("runs", "list", "--json");
      return stdout.includes('"succeeded"') && stdout.includes('"mac-08"');
    });
  } finally {
    await worker.stop();
  }

  const node = new Redis({ port: redis.port, host: "127.0.0.1", username: "mesh-node", password });
  node.on("error", () => {});
  for (const [command, ...args] of [
    ["FLUSHALL"],
    ["CONFIG", "SET", "dir", "/"],
    ["KEYS", "*"],
    ["GET", "elsewhere"],
    ["SHUTDOWN"],
    ["ACL", "LIST"],
  ])
    await expect(node.call(command ?? "", ...args)).rejects.toThrow("NOPERM");
  node.disconnect();
  admin.disconnect();
}, 60_000);
