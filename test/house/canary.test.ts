import { afterAll, beforeAll, expect, test } from "bun:test";
import { openMattermost } from "../fakes/mattermost.ts";
import { openJira } from "../fakes/tracker.ts";
import { deliver, eventually, everything, Household, jiraBody, tokens, youtrackBody } from "./household.ts";

// Every secret of the configuration, and its usual encodings, must be nowhere but in its own file.

const mattermost = openMattermost();
const jira = openJira();
const hook = () => new URL(mattermost.url).pathname.split("/").at(-1) ?? "";
let house: Household;
let output = "";

const encodings = (value: string): string[] => {
  const shifted = [0, 1, 2].map((shift) => {
    const whole = Buffer.from("x".repeat(shift) + value).toString("base64");
    // the first and last characters of a shifted encoding depend on the neighbours
    return whole.slice(shift === 0 ? 0 : 4, -4);
  });
  return [value, ...shifted, encodeURIComponent(value), JSON.stringify(value).slice(1, -1)];
};

beforeAll(async () => {
  house = new Household({
    mattermost: mattermost.url,
    jira: jira.url,
    scripts: {
      // a hostile or careless script prints whatever it finds, and what it was told out of band
      "build-ios": [
        "#!/bin/sh",
        "env",
        'cat "$MESHMAC_TASK_FILE"',
        `echo "posting to ${mattermost.url}"`,
        `echo ${tokens.jiraRest}; echo ${Buffer.from(tokens.jiraRest).toString("base64")}`,
        "ps -ef 2>/dev/null || true",
        "exit 1",
        "",
      ].join("\n"),
    },
  });
  const gateway = await house.serve();
  const worker = await house.work({ WORKER_ONLY: "worker-canary-5d41402abc4b2a76b9719d911017c592" });
  const { body } = await deliver(gateway.url, "jira", jiraBody("MOB-90", { ref: "main" }));
  const leaky = jiraBody("MOB-91");
  await deliver(gateway.url, "jira", {
    ...leaky,
    fields: { ...(leaky.fields as object), summary: `leaked ${tokens.jiraRest}` },
  });
  await deliver(gateway.url, "jira", jiraBody("MOB-92"), { "X-Meshmac-Jira-Token": tokens.youtrack });
  await deliver(gateway.url, "youtrack", youtrackBody("APP-90"));
  await eventually("both comments", () => jira.comments.length >= 2);
  await eventually(
    "three failures in the chat",
    () => mattermost.posts.filter((post) => JSON.stringify(post).includes("failed")).length >= 3,
  );
  const shown = await house.run("runs", "show", body.run_id ?? "");
  const logs = await house.run("runs", "logs", body.run_id ?? "");
  const page = await (await fetch(`${gateway.admin}/runs/${body.run_id}`)).text();
  await worker.stop();
  await gateway.stop();
  output = [gateway.stdout, gateway.stderr, worker.stdout, worker.stderr, shown.stdout, logs.stdout, page].join("\n");
  expect(logs.stdout).toContain("MESHMAC_ISSUE_KEY=MOB-90");
});
afterAll(async () => {
  await house.close();
  mattermost.close();
  jira.close();
});

const canaries = (): [string, string][] => [
  ...Object.entries(tokens),
  ["the worker's own environment", "worker-canary-5d41402abc4b2a76b9719d911017c592"],
  ["mattermost hook", hook()],
];

test("no secret in any output, page or log line", () => {
  const leaked = canaries().filter(([, value]) => encodings(value).some((form) => output.includes(form)));
  expect(leaked.map(([name]) => name)).toEqual([]);
});

test("no secret in the store, the logs or anything else under the state folder", async () => {
  const stored = await everything(`${house.dir}/state`);
  const leaked = canaries().filter(([, value]) => encodings(value).some((form) => stored.includes(form)));
  expect(leaked.map(([name]) => name)).toEqual([]);
});

test("no secret in what chat and tracker were told", () => {
  const told = JSON.stringify([mattermost.posts, jira.comments]);
  const leaked = canaries().filter(([, value]) => encodings(value).some((form) => told.includes(form)));
  expect(leaked.map(([name]) => name)).toEqual([]);
});
