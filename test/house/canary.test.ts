import { afterAll, beforeAll, expect, test } from "bun:test";
import { openMattermost } from "../fakes/mattermost.ts";
import { openJira } from "../fakes/tracker.ts";
import { deliver, eventually, everything, Household, jiraBody, tokens, youtrackBody } from "./household.ts";

// Every secret of the configuration, and its usual encodings, must be nowhere but in its own file.

const mattermost = openMattermost();
const jira = openJira();
const hook = () => new URL(mattermost.url).pathname.split("/").at(-1) ?? "";
/** What a worker may have around it, none of which is a script's: some of it decides what programs load. */
const around = Object.fromEntries(
  [
    "WORKER_ONLY",
    "DYLD_INSERT_LIBRARIES",
    "DYLD_LIBRARY_PATH",
    "BUN_CANARY",
    "BUN_INSTALL",
    "NODE_OPTIONS",
    "NODE_EXTRA_CA_CERTS",
    "BASH_ENV",
    "ENV",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "GITHUB_TOKEN",
    "JIRA_API_TOKEN",
    "HTTPS_PROXY",
    "SSH_AUTH_SOCK",
    "XDG_RUNTIME_DIR",
    "MESHMAC_CANARY",
  ].map((name, at) => [name, `/canary/${at}-5d41402abc4b2a76b9719d911017c592`]),
);
let built = "";
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
    // What no configuration can hand to a script.
    config: { node: { id: "mac-07", pass_env: ["DYLD_INSERT_LIBRARIES", "BUN_CANARY", "NODE_OPTIONS", "BASH_ENV"] } },
    scripts: {
      // a hostile or careless script prints whatever it finds, and what it was told out of band
      "build-ios": [
        "#!/bin/sh",
        "env",
        "tr '\\0' '\\n' </proc/self/environ 2>/dev/null || true",
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
  const worker = await house.work(around);
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
  built = logs.stdout;
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
  ...Object.entries(around),
  ["mattermost hook", hook()],
];

test("nothing of the worker's own environment in a script's, by name or by value", () => {
  const given = new Set([...built.matchAll(/^(\w+)=/gm)].map(([, name]) => name));
  expect(given.has("MESHMAC_RUN_ID")).toBe(true);
  expect(Object.keys(around).filter((name) => given.has(name))).toEqual([]);
  expect(built).not.toContain("/canary/");
});

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
