import { describe, expect, test } from "bun:test";
import { announcementOf, headline, logCommand, type StateFacts } from "../../src/core/announcement.ts";
import type { Report, Result, Task } from "../../src/core/records.ts";

const task: Task = {
  v: 1,
  run_id: "0193f0a2-7c11-7abc-8def-1234567890ab",
  source: "jira",
  issue_key: "MOB-12",
  issue_id: "10061",
  issue_url: "https://acme.atlassian.net/browse/MOB-12",
  project: "MOB",
  transition_id: "77012",
  summary: "Ship the cart",
  requested_by: "Rene Roe",
  repo_url: "git@git.example:acme/app.git",
  ref: "release/2.1",
  script: "build-ios",
  lane: "ios",
  params: {},
  timeout_s: 2700,
  idempotency_key: "jira:MOB-12:77012:5983333",
  correlation_id: "c-1",
  accepted_at: 1_795_000_000_000,
};

const result: Result = {
  run_id: task.run_id,
  attempt: 2,
  state: "failed",
  mesh_node_id: "mac-07",
  reason: "exit 65",
  commit: "0123456789abcdef0123456789abcdef01234567",
  failing_target: "AppTests.CartTests/testTotal",
  summary: "1 of 311 tests failed",
  run_url: "https://ci.example/builds/7",
  // a node whose clock is an hour behind
  started_at: 1_794_996_400_000,
  finished_at: 1_794_996_600_000,
  exit_code: 65,
  log_tail: ["  Testing started", "\u001B[31mFAILED\u001B[0m", "token=hunter2hunter2"],
};

const report: Report = {
  source: "github",
  workflow: "nightly",
  state: "succeeded",
  branch: "main",
  commit: "fedcba98",
  run_url: "https://ci.example/runs/41",
  mesh_node_id: null,
  provider_run_id: "41",
  failing_target: null,
};

const queued: StateFacts = {
  subject: task.run_id,
  state: "queued",
  at: 1_795_000_000_000,
  task,
  report: null,
  node: null,
  attempt: 0,
  reason: null,
  started_at: null,
  result: null,
};
const failed: StateFacts = {
  ...queued,
  state: "failed",
  at: 1_795_000_300_000,
  node: "mac-07",
  attempt: 2,
  reason: "exit 65",
  started_at: 1_795_000_100_000,
  result,
};
const telling = { adminUrl: null, mask: (text: string) => text.replaceAll("hunter2hunter2", "***") };

test("a run that waits says who, what and where, and nothing of a node", () => {
  expect(announcementOf({ ...queued, node: "mac-07" }, telling)).toMatchObject({
    workflow: "build-ios",
    state: "queued",
    branch: "release/2.1",
    issue_key: "MOB-12",
    issue_url: "https://acme.atlassian.net/browse/MOB-12",
    provider_run_id: task.run_id,
    summary: "Ship the cart",
    mesh_node_id: null,
    commit: null,
    duration_ms: null,
    log_tail: [],
    attempt: 0,
  });
});

test("a run that failed says what failed, and for how long by the node's own clock", () => {
  expect(announcementOf(failed, telling)).toMatchObject({
    mesh_node_id: "mac-07",
    commit: result.commit,
    failing_target: "AppTests.CartTests/testTotal",
    duration_ms: 200_000,
    reason: "exit 65",
    summary: "1 of 311 tests failed",
    log_tail: ["  Testing started", "FAILED", "token=***"],
  });
});

test("a run that died without a result counts from its start by the store's clock", () => {
  const dead = announcementOf({ ...failed, state: "dead", result: null, reason: "lost 3 times" }, telling);
  expect(dead).toMatchObject({ duration_ms: 200_000, reason: "lost 3 times", commit: null });
});

test("a clock that went backwards makes no negative duration", () => {
  const backwards = { ...result, finished_at: result.started_at - 5 };
  expect(announcementOf({ ...failed, result: backwards }, telling).duration_ms).toBe(0);
});

test.each([
  ["the run's own page", "https://builds.acme.example", `https://builds.acme.example/runs/${task.run_id}`],
  ["what the script named", null, "https://ci.example/builds/7"],
])("links to %s", (_what, adminUrl, url) => {
  expect(announcementOf(failed, { ...telling, adminUrl }).run_url).toBe(url);
});

test("links nowhere but to http(s)", () => {
  const strange = { ...failed, result: { ...result, run_url: "javascript:alert(1)" } };
  expect(announcementOf(strange, telling).run_url).toBeNull();
});

test("names the command that shows the log where there is no link", () => {
  const without = { ...failed, result: { ...result, run_url: null } };
  expect(logCommand(announcementOf(without, telling))).toBe("meshmac runs logs 567890ab");
  expect(logCommand(announcementOf(failed, telling))).toBeNull();
  expect(logCommand(announcementOf(queued, telling))).toBeNull();
});

test("a report is announced as it came, with its own link and no run of ours", () => {
  const facts = { ...queued, subject: "github/41", state: "succeeded" as const, task: null, report };
  const said = announcementOf(facts, { ...telling, adminUrl: "https://builds.acme.example" });
  expect(said).toMatchObject({ workflow: "nightly", branch: "main", provider_run_id: "41", source: "github" });
  expect(said).toMatchObject({ run_url: "https://ci.example/runs/41", issue_key: null, attempt: null, lane: null });
  expect(logCommand({ ...said, run_url: null })).toBeNull();
});

describe("what strangers write", () => {
  const hostile: Task = {
    ...task,
    summary: `hunter2hunter2 \u202E\u0000${"x".repeat(2000)}\nforged line`,
    ref: "main\nforged",
    requested_by: "\uD83D",
  };
  const said = announcementOf({ ...queued, task: hostile }, telling);

  test("is masked before it is cut", () => expect(said.summary).toStartWith("*** xxx"));
  test("is one line of bounded length", () => {
    expect([...(said.summary ?? "")].length).toBe(500);
    expect(said.branch).toBe("main forged");
  });
  test("is well formed", () => expect(said.requested_by).toBe("\uFFFD"));
  test("is masked when a secret would be cut in two", () => {
    const late = { ...task, summary: `${"x".repeat(495)}hunter2hunter2` };
    expect(announcementOf({ ...queued, task: late }, telling).summary).not.toContain("hunt");
  });
});

test.each([
  [queued, "🕒 MOB-12 queued · build-ios · release/2.1"],
  [
    failed,
    "❌ MOB-12 failed · build-ios · release/2.1 · 01234567 · on mac-07 · 3 min 20 s · AppTests.CartTests/testTotal",
  ],
  [
    { ...queued, state: "cancelled", reason: "by rene" } as const,
    "🚫 MOB-12 cancelled · build-ios · release/2.1 · by rene",
  ],
  [{ ...queued, state: "succeeded", task: null, report } as const, "✅ nightly succeeded · main · fedcba98"],
] as const)("has a headline: %#", (facts, line) => expect(headline(announcementOf(facts, telling))).toBe(line));
