import { storeUrl } from "../../../src/core/store-url.ts";
import { openRedis } from "../../../src/stores/redis.ts";

// A gateway that does nothing but drain logs, in a process of its own, for a test that kills it: URL, folder, name.
const [url = "", state_dir = "", name = ""] = process.argv.slice(2);
const parsed = storeUrl.parse(url);
if (parsed.kind !== "redis") throw new Error("not a redis store");
const store = await openRedis({ url: parsed, pool: "acme", state_dir, takeOverAfter: 200 });
process.stdout.write("open\n");
for (;;) {
  if (!(await store.drain(name))) await store.stirred("logs", { ms: 20 });
}
