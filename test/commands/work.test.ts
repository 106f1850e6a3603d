import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { Folder } from "../config/folder.ts";
import { startRedis } from "../fakes/redis-server.ts";

// A Redis of its own, on a busy machine.
setDefaultTimeout(60_000);

const main = join(import.meta.dir, "../../commands/main.ts");

test.each([[["work"]], [["work", "--once"]], [["serve"]], [["runs", "list"]]])(
  "%p ends with 78 at a Redis that keeps nothing",
  async (typed) => {
    using folder = new Folder();
    const redis = await startRedis({ appendonly: "no" });
    try {
      const gateway = { listen: "127.0.0.1:0", admin: { listen: "127.0.0.1:0" } };
      folder.write("meshmac.config.json", JSON.stringify({ store: `redis://127.0.0.1:${redis.port}/0`, gateway }));
      const child = Bun.spawn([process.execPath, main, ...typed], {
        cwd: folder.path,
        env: { PATH: process.env.PATH ?? "", HOME: folder.path },
        stdout: "ignore",
        stderr: "pipe",
        timeout: 40_000,
      });
      expect(await child.stderr.text()).toMatch(/^meshmac: redis at .* keeps nothing: appendonly is off\nhint: set /m);
      expect(await child.exited).toBe(78);
    } finally {
      await redis.stop();
    }
  },
);
