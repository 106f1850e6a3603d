import { describe, expect, test } from "bun:test";
import type { z } from "zod";
import { decide } from "../../src/core/decide.ts";
import { type JsonObject, parseStranger } from "../../src/core/json.ts";
import type { buildWhen } from "../../src/core/wanted.ts";
import { reporterOptions } from "../../src/sources/source.ts";
import { sources } from "../../src/sources/registry.ts";

type Entry = z.input<typeof buildWhen>;

/** Reads and decides a sample as the door would, and answers the task or why there is none. */
function asked(kind: string, build_when: Entry[], given: { task?: object; paths?: object; more?: object } = {}) {
  const source = sources.find((each) => each.kind === kind);
  if (!source) throw new Error(`no source ${kind}`);
  const { task, paths, more } = given;
  const shared = {
    path: "/door",
    token: "inbound/door.token",
    build_when,
    task: { script: "build-ios", lane: "ios", repo: "app", ...task },
  };
  const options = source.options.parse({ ...shared, kind, ...(paths && { paths }), ...more });
  const sample = source.sample(options);
  const body = parseStranger(JSON.stringify(sample.body)) as JsonObject;
  const seen = source.read(body, new Headers(sample.headers), options);
  if (!("move" in seen)) return "ignored" in seen ? seen.ignored : seen.report;
  const rules = { ...reporterOptions.parse(shared), repos: {}, lanes: {} };
  const decision = decide(seen.move, rules, { source: kind, run_id: "0190-a", correlation_id: "c", seen_at: 0 });
  if ("task" in decision) return decision.task;
  return "ignored" in decision ? decision.ignored : decision.why;
}

const common: [about: string, entries: Entry[], more?: { task?: object; paths?: object; more?: object }][] = [
  ["a status", [{ status: "Building" }]],
  ["several values", [{ status: ["Building", "Ready for build"] }]],
  ["an event and a change", [{ event: "issueUpdated", changed: { Stage: "Building" } }]],
  ["a change alone", [{ changed: { Stage: ["Building"] } }]],
  ["a change and a status", [{ status: "Building", changed: { State: "Building" } }]],
  ["a project by key", [{ status: "Building", project: "WEB" }]],
  ["a project by a name", [{ status: "Building", project: "Mobile apps" }]],
  [
    "labels, components and type",
    [{ status: "Building", labels: "ci-build", components: "Checkout", issue_type: "Bug" }],
  ],
  ["a path of the body", [{ status: "Building", where: { "release.channel": "beta" } }]],
  ["a ref without a default", [{ status: "Building" }], { task: { ref: { from: "fields.branch" } } }],
  ["a comment", [{ event: ["commentAdded", "comment_created"] }]],
  [
    "a second entry, as the first contradicts itself",
    [{ status: "Building", where: { "__proto__.x": "y" } }, { status: "Ready" }],
  ],
];
const jiraOnly: typeof common = [
  ["a path of the fields", [{ status: "Building", where: { "fields.priority.name": "High" } }]],
  ["a path that begins at the issue", [{ status: "Building", where: { "issue.fields.customfield_10042": "main" } }]],
  ["a native event", [{ event: "jira:issue_updated", status: "Building", labels: "ci-build" }]],
  ["a native event and labels alone", [{ event: "jira:issue_updated", labels: "ci-build" }]],
  ["an event of Custom data", [{ event: "build", status: "Building" }]],
  [
    "configured paths",
    [{ event: "go", status: "Building", labels: "ci-build", project: "Mobile apps" }],
    { paths: { issue_key: "card.ref", status: "card.column", event: "what", labels: "card.tags" } },
  ],
  ["configured paths and a change", [{ changed: { status: "Building" } }], { paths: { issue_key: "issue.key" } }],
];
const youtrackOnly: typeof common = [
  ["a creation", [{ event: "issueCreated" }]],
  ["an attachment", [{ event: "issueAttachmentAdded" }]],
  ["a work item", [{ event: "workItemAdded" }]],
];

describe.each([
  ["jira", [...common, ...jiraOnly]],
  ["youtrack", [...common, ...youtrackOnly]],
] as const)("%s makes a request that asks for a build by", (kind, cases) => {
  test.each(cases.map(([about, entries, more = {}]) => [about, entries, more] as const))(
    "%s",
    (_about, entries, more) => {
      expect(asked(kind, entries, more)).toMatchObject({
        script: "build-ios",
        ref: "main",
        issue_key: expect.stringMatching(/-12$/),
      });
    },
  );
});

const githubCases: typeof common = [
  ["a label", [{ labels: "ci-build" }]],
  ["a label that was added", [{ changed: { labels: "ci-build" } }]],
  ["an issue that was closed", [{ changed: { status: "closed" } }]],
  ["a pull request of a project", [{ event: "pull_request", project: "acme/web", labels: "ci-build" }]],
  ["a type", [{ event: "issues", issue_type: "Bug" }]],
  ["a push to a branch", [{ event: "push", changed: { branch: "release" } }]],
  ["a push of a tag", [{ event: "push", changed: { tag: "v1.2.0" } }]],
  ["a path of the body", [{ event: "push", where: { ref: "refs/heads/main" } }]],
  ["a command", [{ event: "issue_comment" }], { more: { commands: { authors: ["grace"] } } }],
  ["a command of a member", [{ event: "issue_comment" }], { more: { commands: { associations: ["OWNER"] } } }],
];
const gitlabCases: typeof common = [
  ["a label", [{ labels: "ci-build" }]],
  ["a label that was added", [{ changed: { labels: "ci-build" } }]],
  ["an issue that was closed", [{ changed: { status: "closed" } }]],
  ["a project by its path", [{ project: "acme/web", status: "opened" }]],
  ["a command", [{ event: "note" }], { more: { commands: { authors: ["grace"] } } }],
];
const linearCases: typeof common = [
  ["a state", [{ status: "Building" }]],
  ["a label that was added", [{ changed: { labels: "ci-build" } }]],
  ["a state that changed, and a label", [{ changed: { status: "Building" }, labels: "ci-build" }]],
  ["a team", [{ status: "Building", project: "WEB" }]],
  ["a new issue", [{ event: "Issue.create", status: "Building" }]],
  ["a comment", [{ event: "Comment.create" }]],
  ["a path of the issue", [{ status: "Building", where: { priorityLabel: "High" } }]],
  ["a ref without a default", [{ status: "Building" }], { task: { ref: { from: "branchName" } } }],
];
const webhookCases: typeof common = [
  ["a status", [{ status: "Building" }]],
  [
    "every fact",
    [{ event: "go", project: "WEB", status: "Ready", labels: "ci", components: "app", issue_type: "Bug" }],
  ],
  ["a path of the body", [{ where: { "release.channel": "beta" } }]],
  [
    "configured paths",
    [{ status: "Building", labels: "ci" }],
    { paths: { issue_key: "card.ref", status: "card.column", labels: "card.tags" } },
  ],
];

describe.each([
  ["github", githubCases],
  ["gitlab", gitlabCases],
  ["linear", linearCases],
  ["webhook", webhookCases],
] as const)("%s makes a request that asks for a build by", (kind, cases) => {
  test.each(cases.map(([about, entries, more = {}]) => [about, entries, more] as const))(
    "%s",
    (_about, entries, more) => expect(asked(kind, entries, more)).toMatchObject({ script: "build-ios", ref: "main" }),
  );
});

const reporters: [kind: string, more: object, workflow: RegExp, state: string][] = [
  ["github", {}, /^app \/ CI$/, "succeeded"],
  ["github", { report_when: [{ project: "web", workflow: "Nightly", state: "failed" }] }, /^web \/ Nightly$/, "failed"],
  ["gitlab", {}, /^app \/ pipeline$/, "succeeded"],
  ["gitlab", { report_when: [{ event: "job", workflow: "unit", state: "cancelled" }] }, /^app \/ unit$/, "cancelled"],
  ["webhook", { report: {} }, /^nightly$/, "succeeded"],
  [
    "webhook",
    { report: { state: { from: "result" }, states: { failed: ["RED"] } }, report_when: [{ state: "failed" }] },
    /^nightly$/,
    "failed",
  ],
];
test.each(reporters)("a door of %s that builds nothing is asked by a report: %j", (kind, more, workflow, state) => {
  expect(asked(kind, [], { more })).toMatchObject({ workflow: expect.stringMatching(workflow), state });
});

test("makes one all the same where nothing can satisfy the configuration", () => {
  expect(asked("youtrack", [{ event: "issueDeleted", status: "Building" }])).toStartWith("no build_when entry matched");
});
