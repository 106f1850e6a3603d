import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openMattermost } from "../fakes/mattermost.ts";
import { startRedis } from "../fakes/redis-server.ts";
import { openJira } from "../fakes/tracker.ts";
import { deliver, eventually, Household, jiraBody } from "./household.ts";

// kill -9 at the worst moments: nothing accepted is lost, one result per run, at most one extra chat post per kill.

const shortLease = { lease: { ttl: "3s", heartbeat: "500ms", fence: "2s" } };

interface Listed {
  runs: { run_id: string; state: string; issue_key: string; attempt: number; lost: number }[];
}

const runsOf = async (house: Household): Promise<Listed["runs"]> => {
  const { stdout } = await house.run("runs", "list", "--json", "--limit", "1000");
  return stdout === "" ? [] : (JSON.parse(stdout) as Listed).runs;
};

const over = async (house: Household, count: number) =>
  await eventually(`${count} runs over`, async () => {
    const runs = await runsOf(house);
    return runs.length >= count && runs.every(({ state }) => state !== "queued" && state !== "running") ? runs : null;
  });

/** Whether a process runs; one that is dead and only waits for its parent to look (Z) does not. */
const alive = (pid: string): boolean => {
  const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, "utf8") : "";
  return stat !== "" && !/\) Z /.test(stat);
};

const mentions = (posts: unknown[], ...words: string[]): number =>
  posts.filter((post) => words.every((word) => JSON.stringify(post).includes(word))).length;

test("kill -9 of the gateway between accept and announce loses no run and no announcement", async () => {
  using mattermost = openMattermost({ script: [503, 503, 503, 503, 503, 503] });
  await using house = new Household({ mattermost: mattermost.url, config: shortLease });
  let gateway = await house.serve();
  const keys = Array.from({ length: 20 }, (_, i) => `MOB-${100 + i}`);
  const answers = await Promise.all(keys.map((key) => deliver(gateway.url, "jira", jiraBody(key))));
  await gateway.kill9();
  expect(answers.map(({ body }) => body.status)).toEqual(keys.map(() => "queued"));

  gateway = await house.serve();
  await house.work();
  const runs = await over(house, keys.length);
  expect(runs.map(({ issue_key }) => issue_key).toSorted()).toEqual(keys.toSorted());
  await eventually("every success in the chat", () =>
    keys.every((key) => mentions(mattermost.posts, `${key} `, "succeeded") >= 1),
  );
  const extra = keys.flatMap((key) =>
    ["queued", "running", "succeeded"].map((state) => mentions(mattermost.posts, `${key} `, state) - 1),
  );
  expect(extra.reduce((sum, n) => sum + Math.max(0, n), 0)).toBeLessThanOrEqual(1);
});

test("kill -9 of the worker mid-script: the orphan dies, the run is built once more, one result, one comment", async () => {
  using mattermost = openMattermost();
  using jira = openJira();
  const script = [
    "#!/bin/sh",
    'echo "$MESHMAC_ATTEMPT start $$" >> "$LEDGER"',
    '[ "$MESHMAC_ATTEMPT" = 1 ] && { while :; do sleep 0.1; done; }',
    'echo "$MESHMAC_ATTEMPT end" >> "$LEDGER"',
    "exit 1",
    "",
  ].join("\n");
  await using house = new Household({
    mattermost: mattermost.url,
    jira: jira.url,
    scripts: { "build-ios": script },
    config: { ...shortLease, node: { id: "mac-07", pass_env: ["LEDGER"] } },
  });
  const ledger = join(house.dir, "ledger.txt");
  const gateway = await house.serve();
  const worker = await house.work({ LEDGER: ledger });
  await deliver(gateway.url, "jira", jiraBody("MOB-31"));
  const pid = await eventually("the script", () =>
    existsSync(ledger) ? /start (\d+)/.exec(readFileSync(ledger, "utf8"))?.[1] : null,
  );
  await worker.kill9();
  expect(alive(pid)).toBe(true);

  await house.work({ LEDGER: ledger });
  const [run] = await over(house, 1);
  expect(run).toMatchObject({ state: "failed", attempt: 2, lost: 1 });
  expect(alive(pid)).toBe(false);
  expect(readFileSync(ledger, "utf8").match(/end/g)).toHaveLength(1);
  await eventually("the comment", () => jira.comments.length > 0);
  await eventually("the failure in the chat", () => mentions(mattermost.posts, "MOB-31", "failed") > 0);
  expect(jira.comments).toHaveLength(1);
  expect(mentions(mattermost.posts, "MOB-31", "failed")).toBe(1);
  expect(mentions(mattermost.posts, "MOB-31", "running")).toBe(1);
});

test("kill -9 of redis-server under load: what was answered 200 is there afterwards, and everything recovers by itself", async () => {
  const redis = await startRedis({ appendonly: "yes", appendfsync: "always" });
  await using _ = { [Symbol.asyncDispose]: () => redis.stop() };
  using mattermost = openMattermost();
  await using house = new Household({
    store: `redis://127.0.0.1:${redis.port}/0`,
    mattermost: mattermost.url,
    config: shortLease,
  });
  const gateway = await house.serve();
  await house.work();
  const accepted = new Set<string>();
  let next = 0;
  let go = true;
  const load = Array.from({ length: 8 }, async () => {
    while (go) {
      const key = `MOB-${next++}`;
      const { status } = await deliver(gateway.url, "jira", jiraBody(key));
      if (status === 200) accepted.add(key);
      else expect(status).toBe(503);
    }
  });
  await eventually("fifty accepted", () => accepted.size >= 50);
  await redis.kill9();
  await redis.restart();
  const before = accepted.size;
  await eventually("fifty more accepted", () => accepted.size >= before + 50);
  go = false;
  await Promise.all(load);
  const runs = await over(house, accepted.size);
  const built = new Map(runs.map((run) => [run.issue_key, run.state]));
  expect([...accepted].filter((key) => built.get(key) !== "succeeded")).toEqual([]);
  expect(new Set(runs.map(({ issue_key }) => issue_key)).size).toBe(runs.length);
  await eventually("every success in the chat", () =>
    [...accepted].every((key) => mattermost.posts.some((post) => JSON.stringify(post).includes(`${key} succeeded`))),
  );
  const doubled = [...accepted].filter((key) => mentions(mattermost.posts, `${key} succeeded`) > 1);
  expect(doubled.length).toBeLessThanOrEqual(1);
}, 60_000);

test("a frozen worker stalls no door", async () => {
  await using house = new Household({
    scripts: { "build-ios": "#!/bin/sh\nwhile :; do echo tick; sleep 0.01; done\n" },
    config: shortLease,
  });
  const gateway = await house.serve();
  const worker = await house.work();
  const first = await deliver(gateway.url, "jira", jiraBody("MOB-60"));
  await eventually("the log flowing", async () =>
    (await house.run("runs", "logs", first.body.run_id ?? "")).stdout.includes("tick"),
  );
  worker.child.kill("SIGSTOP");
  const keys = Array.from({ length: 100 }, (_, i) => `MOB-${700 + i}`);
  const answers = await Promise.all(keys.map((key) => deliver(gateway.url, "jira", jiraBody(key))));
  expect(answers.every(({ body }) => body.status === "queued")).toBe(true);
  worker.child.kill("SIGCONT");
});
