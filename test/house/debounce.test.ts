import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openMattermost } from "../fakes/mattermost.ts";
import { startRedis } from "../fakes/redis-server.ts";
import { deliver, eventually, Household, jiraBody } from "./household.ts";

const script = '#!/bin/sh\necho "$MESHMAC_ISSUE_KEY $MESHMAC_REF" >> "$MESHMAC_PARAM_BUILT"\n';

/** A house whose jira waits for a later move, and whose script writes down what it was asked to build. */
function patientHouse(debounce: string, wishes: ConstructorParameters<typeof Household>[0] = {}): Household {
  const house = new Household({ scripts: { "build-ios": script }, ...wishes });
  const config = JSON.parse(readFileSync(house.config, "utf8"));
  config.sources.jira.debounce = debounce;
  config.sources.jira.task.params = { built: join(house.dir, "built") };
  house.write("meshmac.config.json", JSON.stringify(config), 0o600);
  house.write("built", "", 0o600);
  return house;
}

const builtIn = (house: Household): string[] =>
  readFileSync(join(house.dir, "built"), "utf8").split("\n").filter(Boolean);

const runsIn = async (house: Household): Promise<{ [field: string]: unknown }[]> => {
  const { stdout } = await house.run("runs", "list", "--json");
  return JSON.parse(stdout).runs;
};

async function isOver(house: Household, run_id: unknown): Promise<boolean> {
  const run = (await runsIn(house)).find((one) => one.run_id === run_id);
  return run !== undefined && run.ended_at !== null;
}

const stores: [string, () => Promise<{ store?: string; close(): Promise<void> }>][] = [
  ["sqlite", async () => ({ close: async () => {} })],
  [
    "redis",
    async () => {
      const redis = await startRedis({ appendonly: "yes", appendfsync: "always" });
      return { store: `redis://127.0.0.1:${redis.port}/0`, close: () => redis.stop() };
    },
  ],
];

test.each(stores)(
  "three quick moves are one build of the last, one that left is none, and one chat card each, on %s",
  async (_kind, open) => {
    const { store, close } = await open();
    using mattermost = openMattermost();
    const house = patientHouse("3s", { mattermost: mattermost.url, ...(store !== undefined && { store }) });
    try {
      const gateway = await house.serve();
      await house.work();
      const moves = [];
      for (const ref of ["one", "two", "three"])
        moves.push((await deliver(gateway.url, "jira", jiraBody("MOB-12", { ref }))).body);
      const gone = (await deliver(gateway.url, "jira", jiraBody("MOB-13"))).body;
      const left = (await deliver(gateway.url, "jira", jiraBody("MOB-13", { status: "To Do" }))).body;

      const run_id = moves[0]?.run_id;
      expect(moves.map((body) => [body.status, body.run_id])).toEqual(moves.map(() => ["queued", run_id]));
      expect(left).toMatchObject({
        status: "ignored",
        reason: expect.stringContaining(`cancelled run ${gone.run_id}`),
      });
      await eventually("the end of the build", () => isOver(house, run_id));
      expect(builtIn(house)).toEqual(["MOB-12 three"]);
      const runs = await runsIn(house);
      expect(runs.map(({ issue_key, state, ref }) => [issue_key, state, ref])).toEqual([
        ["MOB-13", "cancelled", "main"],
        ["MOB-12", "succeeded", "three"],
      ]);
      expect(runs[0]?.reason).toStartWith('issue withdrawn: status is "To Do"');
      expect(runs[0]?.attempt).toBe(0);
      const saying = (...words: string[]) =>
        mattermost.posts.filter((post) => words.every((word) => JSON.stringify(post).includes(word))).length;
      await eventually(
        "both ends in the chat",
        () => saying("MOB-12", "succeeded") > 0 && saying("MOB-13", "cancelled") > 0,
      );
      expect(saying("MOB-12")).toBe(3); // queued, running, succeeded
      expect(saying("MOB-13")).toBe(2); // queued, cancelled
    } finally {
      await house.close();
      await close();
    }
  },
);

test("kill -9 of the gateway during the wait loses nothing: the last move is built, once, and its retries know it", async () => {
  await using house = patientHouse("3s");
  const gateway = await house.serve();
  await house.work();
  const first = (await deliver(gateway.url, "jira", jiraBody("MOB-12", { ref: "one" }))).body;
  await deliver(gateway.url, "jira", jiraBody("MOB-12", { ref: "two" }));
  await gateway.kill9();
  const second = await house.serve();
  const shown = await house.run("runs", "show", String(first.run_id));
  expect(shown.stdout).toContain("two");
  await eventually("the end of the build", () => isOver(house, first.run_id));
  expect(builtIn(house)).toEqual(["MOB-12 two"]);
  expect((await deliver(second.url, "jira", jiraBody("MOB-12", { ref: "two" }))).body).toMatchObject({
    status: "duplicate",
    run_id: first.run_id,
  });
});
