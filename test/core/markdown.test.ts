import { expect, test } from "bun:test";
import fc from "fast-check";
import { hasMarker, markerOf } from "../../src/core/marker.ts";
import { codeSpan, markdownComment } from "../../src/core/markdown.ts";
import type { Announcement } from "../../src/core/records.ts";

const marker = markerOf("one post");
const announcement: Announcement = {
  workflow: "build-ios",
  state: "failed",
  branch: "feature/empty_list",
  commit: "abcdef1234567890abcdef1234567890abcdef12",
  run_url: "https://builds.acme.internal/runs/0190-a",
  mesh_node_id: "mac-07",
  provider_run_id: "0190-a",
  source: "github",
  issue_key: "app-12",
  issue_id: "12",
  issue_url: "https://github.com/acme/app/issues/12",
  summary: null,
  requested_by: "ada",
  lane: "ios",
  attempt: 1,
  failing_target: "AppTests/testList",
  duration_ms: 200_000,
  reason: "exit status 65",
  log_tail: ["compiling", "error: no such module"],
  idempotency_key: null,
  at: 1_790_000_000_000,
};
const written = (said: Partial<Announcement> = {}, hidden = true) =>
  markdownComment({ ...announcement, ...said }, marker, { hidden });

test("says state, issue, what is known, the end of the log and where the rest is", () => {
  expect(written().split("\n")).toEqual([
    "❌ app-12 failed · `build-ios` · `feature/empty_list`",
    "",
    "- Commit: `abcdef1234567890abcdef1234567890abcdef12`",
    "- Failing target: `AppTests/testList`",
    "- Node: `mac-07 (attempt 1)`",
    "- Reason: `exit status 65`",
    "",
    "```",
    "compiling",
    "error: no such module",
    "```",
    "",
    `[Full log](https://builds.acme.internal/runs/0190-a) <!-- ${marker} -->`,
  ]);
});

test("shows the marker where a reader has no hidden text, and names the command where there is no page", () => {
  expect(written({ run_url: null }, false)).toEndWith(`\n\n\`meshmac runs logs 0190-a\` · ${marker}`);
});

test("drops the oldest lines until the whole is short enough", () => {
  const long = written({ log_tail: Array.from({ length: 20 }, (_, i) => `${i} ${"x".repeat(2000)}`) });
  expect(long.length).toBeLessThanOrEqual(8000);
  expect(long).toContain("\n19 x");
});

const hostile = fc.string({
  unit: fc.constantFrom("`", "~", "@", "a", "\n", "<", ">", "[", "](", "http://x", "\u202E", "-->", "#1 "),
  maxLength: 60,
});

test("keeps a stranger's text in code, where it mentions, links and closes nothing", () => {
  fc.assert(
    fc.property(hostile, hostile, fc.array(hostile, { maxLength: 20 }), fc.boolean(), (branch, reason, log, hidden) => {
      const text = written(
        { run_url: null, branch, reason, failing_target: branch, mesh_node_id: reason, log_tail: log },
        hidden,
      );
      expect(text).not.toMatch(/@[\p{L}\p{N}_]/u);
      expect(text.endsWith(hidden ? `<!-- ${marker} -->` : `· ${marker}`)).toBe(true);
      const [fence] = /^`{3,}$/m.exec(text) ?? [];
      if (fence !== undefined) expect(text.split("\n").filter((line) => line === fence)).toHaveLength(2);
      const outside = text.slice(0, text.lastIndexOf("\n")).split(fence ?? "\u0000")[0] ?? "";
      expect(outside.replace(/(`+)(?!`)[\s\S]*?[^`]\1(?!`)/g, "")).not.toMatch(/<|\]\(|#1/);
    }),
    { numRuns: 500 },
  );
});

test.each([
  ["a `b` c", "`` a `b` c ``"],
  ["@ada", "`@\u200Bada`"],
  ["", ""],
])("the code span of %j is %j", (stranger, shown) => expect(codeSpan(stranger)).toBe(shown));

test("is known as ours", () => expect([hasMarker(written()), hasMarker(written({}, false))]).toEqual([true, true]));
