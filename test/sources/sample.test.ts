import { describe, expect, test } from "bun:test";
import type { z } from "zod";
import { decide } from "../../src/core/decide.ts";
import { type JsonObject, parseStranger } from "../../src/core/json.ts";
import type { buildWhen } from "../../src/core/wanted.ts";
import { sourceOptions } from "../../src/sources/source.ts";
import { sources } from "../../src/sources/registry.ts";

type Entry = z.input<typeof buildWhen>;

/** Reads and decides a sample as the door would, and answers the task or why there is none. */
function asked(kind: string, build_when: Entry[], more: { task?: object; paths?: object } = {}) {
  const source = sources.find((each) => each.kind === kind);
  if (!source) throw new Error(`no source ${kind}`);
  const { task, paths } = more;
  const shared = {
    path: "/door",
    token: "inbound/door.token",
    build_when,
    task: { script: "build-ios", lane: "ios", repo: "app", ...task },
  };
  const options = source.options.parse({ ...shared, kind, ...(paths && { paths }) });
  const sample = source.sample(options);
  const body = parseStranger(JSON.stringify(sample.body)) as JsonObject;
  const seen = source.read(body, new Headers(sample.headers), options);
  if (!("move" in seen)) return "ignored" in seen ? seen.ignored : seen.report;
  const rules = { ...sourceOptions.parse(shared), repos: {}, lanes: {} };
  const decision = decide(seen.move, rules, { source: kind, run_id: "0190-a", correlation_id: "c", seen_at: 0 });
  return "task" in decision ? decision.task : decision.ignored;
}

const common: [about: string, entries: Entry[], more?: { task?: object; paths?: object }][] = [
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

test("makes one all the same where nothing can satisfy the configuration", () => {
  expect(asked("youtrack", [{ event: "issueDeleted", status: "Building" }])).toStartWith("no build_when entry matched");
});
