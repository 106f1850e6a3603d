import { expect, test } from "bun:test";
import { openRedis } from "../../src/stores/redis.ts";
import { type RedisServer, startRedis } from "../fakes/redis-server.ts";
import { deliver, eventually, Household, jiraBody, type Process } from "../house/household.ts";

// The store goes away under load, and the gateway dies twice meanwhile: every 200 is one run in the end. `OUTAGE_SECONDS=60` for longer.

const seconds = Number(process.env.OUTAGE_SECONDS ?? 6);
const perSecond = 50;
const deadline = 120_000 + seconds * 3000;

type Gateway = Process & { url: string; admin: string };

const outages: [how: string, down: (redis: RedisServer) => unknown, up: (redis: RedisServer) => unknown][] = [
  ["killed", (redis) => redis.kill9(), (redis) => redis.restart()],
  ["frozen", (redis) => redis.pause(), (redis) => redis.resume()],
];

test.each(outages)(
  "a Redis that is %s loses no delivery and doubles none, though the gateway is killed twice",
  async (_how, down, up) => {
    const redis = await startRedis({ appendfsync: "always" });
    try {
      await using house = new Household({ store: `redis://127.0.0.1:${redis.port}/0` });
      let gateway: Gateway | null = await house.serve();
      const senders = startSenders(() => gateway);
      const killAndStart = async () => {
        const old = gateway;
        gateway = null;
        await old?.kill9();
        gateway = await house.serve();
      };

      await senders.sent(perSecond);
      await down(redis);
      await senders.sent((seconds * perSecond) / 3);
      await killAndStart();
      await senders.sent((seconds * perSecond) / 3);
      await killAndStart();
      await senders.sent((seconds * perSecond) / 3);
      const whileAway = await fetch(`${gateway.url}/readyz`);
      const health = await fetch(`${gateway.url}/healthz`);
      expect([whileAway.status, health.status]).toEqual([503, 200]);
      await up(redis);
      await senders.sent(perSecond);
      const answers = await senders.stop();
      const { admin, url } = gateway;
      await eventually("an empty spool", async () => {
        const { spool } = (await (await fetch(`${admin}/readyz`)).json()) as {
          spool: { waiting: number; away: boolean };
        };
        return spool.waiting === 0 && !spool.away;
      });
      expect((await fetch(`${url}/readyz`)).status).toBe(200);

      const store = await openRedis({ url: redis.url, pool: "acme-ios" });
      const facts = (await store.gateways()).map((row) => row.facts.spool);
      await store.close();
      expect(facts).toContainEqual(expect.objectContaining({ waiting: expect.any(Number), refused: 0 }));

      const runs = await runsOf(house);
      const built = Map.groupBy(runs, ({ issue_key }) => issue_key);
      const taken = answers.filter(({ status }) => status === 200).map(({ key }) => key);
      expect(answers.filter(({ said }) => said === "stored").length).toBeGreaterThan(seconds * perSecond * 0.3);
      expect(answers.filter(({ status }) => status !== 200 && status !== 503 && status !== null)).toEqual([]);
      expect(taken.filter((key) => !built.has(key))).toEqual([]);
      expect([...built].filter(([, own]) => own.length > 1)).toEqual([]);
      expect(gateway.lines.filter(({ msg }) => msg === "store away, deliveries spooled").length).toBeLessThan(4);
    } finally {
      await redis.stop();
    }
  },
  deadline,
);

interface Answer {
  key: string;
  /** Null where the connection broke. */
  status: number | null;
  said: string | null;
}

/** Fifty deliveries a second, each fifth one for an issue that was asked for before, whatever becomes of them. */
function startSenders(to: () => Gateway | null) {
  const sending: Promise<Answer>[] = [];
  const timer = setInterval(() => {
    const n = sending.length;
    const key = `MOB-${n % 5 === 4 ? Math.floor(n / 2) : n}`;
    sending.push(sendOne(key));
  }, 1000 / perSecond);

  async function sendOne(key: string): Promise<Answer> {
    const gateway = to();
    if (!gateway) return { key, status: null, said: null };
    try {
      const { status, body } = await deliver(gateway.url, "jira", jiraBody(key));
      return { key, status, said: body.status ?? null };
    } catch {
      return { key, status: null, said: null };
    }
  }

  return {
    async sent(more: number): Promise<void> {
      const goal = sending.length + more;
      await eventually(`${goal} deliveries`, () => sending.length >= goal);
    },
    async stop(): Promise<Answer[]> {
      clearInterval(timer);
      return await Promise.all(sending);
    },
  };
}

async function runsOf(house: Household): Promise<{ issue_key: string }[]> {
  const runs: { issue_key: string }[] = [];
  for (let cursor: string[] = []; ;) {
    const { stdout } = await house.run("runs", "list", "--json", "--limit", "1000", ...cursor);
    const page = JSON.parse(stdout) as { runs: { issue_key: string }[]; next: string | null };
    runs.push(...page.runs);
    if (page.next === null) return runs;
    cursor = ["--cursor", page.next];
  }
}
