import { expect, test } from "bun:test";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { startRedis } from "../fakes/redis-server.ts";
import { deliver, eventually, Household, jiraBody, type Process } from "../house/household.ts";

// No 200 for what is on no disk: the store is away, and the spool's disk takes a part, or nothing more.

type Starter = (house: Household) => Promise<Process & { url: string; admin: string }>;

/** Puts a disk of 256 KiB under the spool; null where this user may mount none. */
function mountSmall(house: Household): Disposable | null {
  const dir = join(house.dir, "state/spool");
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const { success } = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "meshmac", dir]);
  return success ? { [Symbol.dispose]: () => void Bun.spawnSync(["umount", "-l", dir]) } : null;
}

const canMount = process.platform === "linux" && process.getuid?.() === 0;

/** A gateway that something else runs, to make its disk worse. */
const under =
  (...command: string[]): Starter =>
  async (house) => {
    const gateway = house.start(["serve"], {}, command);
    const { public_url, admin_url } = await gateway.said("gateway listening");
    return Object.assign(gateway, { url: String(public_url), admin: String(admin_url) });
  };

// Every file ends at 64 KiB, in the middle of a record.
const withShortFiles = under("prlimit", "--fsize=65536");
// Every third sync fails, with the records of its batch already written. -D: what is killed is the gateway, not strace.
const failing = "inject=fdatasync:error=EIO:when=2+3";
const withFailingSyncs = under("strace", "-D", "-f", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", failing);

const asItIs = (): Disposable => ({ [Symbol.dispose]: () => {} });

const disks: [what: string, possible: boolean, prepare: (house: Household) => Disposable | null, start: Starter][] = [
  ["a full disk", canMount, mountSmall, (house) => house.serve()],
  ["a disk that takes half a record", Bun.which("prlimit") !== null, asItIs, withShortFiles],
  ["a disk that fails to sync", Bun.which("strace") !== null, asItIs, withFailingSyncs],
];

for (const [what, possible, prepare, start] of disks) {
  test.skipIf(!possible)(`${what} answers 503 and makes no 200 a lie`, async () => {
    const redis = await startRedis({ appendfsync: "always" });
    try {
      await using house = new Household({ store: `redis://127.0.0.1:${redis.port}/0` });
      using disk = prepare(house);
      if (!disk) return; // root, but without the right to mount
      const gateway = await start(house);
      await redis.kill9();
      const statuses = new Map<string, number>();
      const keys = Array.from({ length: 600 }, (_, i) => `MOB-${i}`);
      for (let at = 0; at < keys.length; at += 20) {
        const some = keys.slice(at, at + 20);
        const answers = await Promise.all(some.map((key) => deliver(gateway.url, "jira", jiraBody(key))));
        some.forEach((key, i) => statuses.set(key, answers[i]?.status ?? 0));
      }
      const counts = Map.groupBy(statuses.values(), (status) => status);
      expect([...counts.keys()].toSorted()).toEqual([200, 503]);
      expect(gateway.lines.filter(({ msg }) => msg === "spool not usable").length).toBeGreaterThan(0);
      expect(readdirSync(join(house.dir, "state/spool/1")).length).toBeLessThan(30);
      // As after a crash: only what is on disk counts.
      await gateway.kill9();
      await redis.restart();
      const next = await house.serve();
      await eventually("an empty spool", async () => {
        const { spool } = (await (await fetch(`${next.admin}/readyz`)).json()) as {
          spool: { waiting: number; away: boolean };
        };
        return spool.waiting === 0 && !spool.away;
      });
      const { stdout } = await house.run("runs", "list", "--json", "--limit", "1000");
      const { runs } = JSON.parse(stdout) as { runs: { issue_key: string }[] };
      const built = new Set(runs.map(({ issue_key }) => issue_key));
      expect(built.size).toBe(runs.length);
      expect([...statuses].filter(([key, status]) => status === 200 && !built.has(key))).toEqual([]);
      expect((await deliver(next.url, "jira", jiraBody("MOB-9999"))).status).toBe(200);
      await next.stop();
    } finally {
      await redis.stop();
    }
  });
}
