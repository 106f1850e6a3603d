import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { at, isObject, type Json, text } from "../../src/core/json.ts";
import { hasMarker, markerOf } from "../../src/core/marker.ts";
import type { Post, Reply } from "../../src/core/post.ts";
import type { Announcement } from "../../src/core/records.ts";
import { Secret } from "../../src/core/secret.ts";
import { jiraComment } from "../../src/sources/jira-comment.ts";
import { sources } from "../../src/sources/registry.ts";
import { youtrackComment } from "../../src/sources/youtrack-comment.ts";

const marker = markerOf("one post");
const announcement: Announcement = {
  workflow: "build-ios",
  state: "failed",
  branch: "feature/empty_list",
  commit: "abcdef1234567890abcdef1234567890abcdef12",
  run_url: "https://builds.acme.internal/runs/0190-a",
  mesh_node_id: "mac-07",
  provider_run_id: "0190-a",
  source: "jira",
  issue_key: "MOB-12",
  issue_id: "10012",
  issue_url: null,
  summary: "Crash when the list is empty",
  requested_by: "Ada Example",
  lane: "ios",
  attempt: 1,
  failing_target: "AppTests/testList_isEmpty",
  duration_ms: 200_000,
  reason: "exit status 65",
  log_tail: Array.from({ length: 25 }, (_, i) => `line ${i + 1}`),
  idempotency_key: "jira:MOB-12:10227:1",
  at: 1_790_000_000_000,
};
const nothing: Partial<Announcement> = {
  commit: null,
  run_url: null,
  mesh_node_id: null,
  attempt: null,
  failing_target: null,
  reason: null,
  log_tail: [],
};
const hostile = fc.string({ unit: "binary", maxLength: 400 });
const anything = fc.record({
  branch: hostile,
  commit: hostile,
  run_url: fc.oneof(fc.webUrl({ withQueryParameters: true, withFragments: true }), hostile),
  mesh_node_id: hostile,
  failing_target: fc.option(hostile),
  reason: fc.option(hostile),
  log_tail: fc.array(hostile, { maxLength: 25 }),
});

const cloud = jiraComment.options.parse({
  site: "https://acme.atlassian.net/",
  email: "bot@acme.example",
  token: "jira/rest.token",
});
const dataCenter = jiraComment.options.parse({ site: "https://jira.acme.internal/tracker", token: "jira/rest.token" });
const youtrack = youtrackComment.options.parse({ site: "https://acme.youtrack.cloud/", token: "youtrack/rest.token" });

/** Every node of a document, in reading order. */
const nodes = (node: Json | undefined): Json[] =>
  node === undefined
    ? []
    : [node, ...(isObject(node) && Array.isArray(node.content) ? node.content.flatMap(nodes) : [])];
const kinds = (document: Json | undefined) => nodes(document).map((node) => text(at(node, "type")));
const words = (document: Json | undefined) =>
  nodes(document)
    .map((node) => text(at(node, "text")))
    .filter(Boolean);
const adf = (said: Partial<Announcement> = {}) =>
  at(jiraComment.post({ ...announcement, ...said }, cloud, marker).body, "body");
const wiki = (said: Partial<Announcement> = {}) =>
  text(at(jiraComment.post({ ...announcement, ...said }, dataCenter, marker).body, "body"));
const markdown = (said: Partial<Announcement> = {}) =>
  text(at(youtrackComment.post({ ...announcement, ...said }, youtrack, marker).body, "text"));

describe("jira on Cloud", () => {
  test("posts an Atlassian document over v3, as the account that the token belongs to", () => {
    const { body, ...post } = jiraComment.post(announcement, cloud, marker);
    expect(post).toEqual({
      method: "POST",
      url: "https://acme.atlassian.net/rest/api/3/issue/MOB-12/comment",
      headers: { Accept: "application/json" },
      basic: { user: "bot@acme.example", password: expect.any(Secret) },
    });
    expect(at(body, "properties")).toEqual([{ key: "meshmac.run", value: { k: marker, run: "0190-a" } }]);
  });

  test("says state, issue, commit, failing target, node, the last 20 lines and where the rest is", () => {
    expect(words(adf())).toEqual([
      "❌ MOB-12 failed · build-ios · feature/empty_list",
      "Commit: abcdef1234567890abcdef1234567890abcdef12",
      "Failing target: AppTests/testList_isEmpty",
      "Node: mac-07 (attempt 1)",
      "Reason: exit status 65",
      Array.from({ length: 20 }, (_, i) => `line ${i + 6}`).join("\n"),
      "Full log",
      ` · ${marker}`,
    ]);
    expect(JSON.stringify(adf())).toContain('"href":"https://builds.acme.internal/runs/0190-a"');
  });

  test("names the command where no page is configured, and leaves out what is not known", () => {
    expect(words(adf(nothing))).toEqual([
      "❌ MOB-12 failed · build-ios · feature/empty_list",
      "meshmac runs logs 0190-a",
      ` · ${marker}`,
    ]);
  });

  test("has a code block only where there is a log", () => {
    expect(kinds(adf())).toContain("codeBlock");
    expect(kinds(adf({ log_tail: ["", "  "] }))).not.toContain("codeBlock");
  });

  test("drops the oldest lines until the whole is short enough", () => {
    const document = adf({ log_tail: Array.from({ length: 20 }, (_, i) => `${i} ${'"\\'.repeat(400)}`) });
    expect(JSON.stringify(document).length).toBeLessThanOrEqual(8000);
    expect(words(document).join("\n")).toContain("\n19 ");
  });

  test("sends scoped tokens where they are taken", () => {
    const scoped = jiraComment.options.parse({
      site: "https://acme.atlassian.net",
      email: "bot@acme.example",
      token: "jira/rest.token",
      base_url: "https://api.atlassian.com/ex/jira/00000000-0000-4000-8000-000000000001",
    });
    expect(jiraComment.post(announcement, scoped, marker).url).toBe(
      "https://api.atlassian.com/ex/jira/00000000-0000-4000-8000-000000000001/rest/api/3/issue/MOB-12/comment",
    );
  });

  test("asks for an e-mail address, without which Cloud takes no token", () => {
    const parsed = jiraComment.options.safeParse({ site: "https://acme.atlassian.net", token: "jira/rest.token" });
    expect(parsed.error?.issues).toMatchObject([{ path: ["email"], message: expect.stringContaining("Jira Cloud") }]);
  });

  test("is well formed whatever a build says", () => {
    fc.assert(
      fc.property(anything, (said) => {
        const document = adf(said);
        const texts = nodes(document)
          .filter((node) => at(node, "type") === "text")
          .map((node) => text(at(node, "text")));
        expect(
          texts.every(
            (each) => each !== "" && each.isWellFormed() && !/[\u0000-\u0009\u000B-\u001F\u007F\u202E]/.test(each),
          ),
        ).toBe(true);
        expect(JSON.stringify(document).length).toBeLessThanOrEqual(8000);
        expect(JSON.stringify(document)).not.toMatch(/"href":"(?!https?:)/);
        expect(texts.at(-1)).toEndWith(marker);
      }),
    );
  });
});

describe("jira on Data Center", () => {
  test("posts wiki markup over v2, with a bearer token", () => {
    const { body, ...post } = jiraComment.post(announcement, dataCenter, marker);
    expect(post).toEqual({
      method: "POST",
      url: "https://jira.acme.internal/tracker/rest/api/2/issue/MOB-12/comment",
      headers: { Accept: "application/json" },
      bearer: expect.any(Secret),
    });
    expect(Object.keys(isObject(body) ? body : {})).toEqual(["body"]);
  });

  test("says what the other one says", () => {
    expect(wiki().split("\n")).toEqual([
      "❌ MOB-12 failed · build-ios · feature/empty_list",
      "Commit: abcdef1234567890abcdef1234567890abcdef12",
      "Failing target: AppTests/testList_isEmpty",
      "Node: mac-07 (attempt 1)",
      "Reason: exit status 65",
      "{code}",
      ...Array.from({ length: 20 }, (_, i) => `line ${i + 6}`),
      "{code}",
      `[Full log|https://builds.acme.internal/runs/0190-a] · ${marker}`,
    ]);
  });

  const escaped: [stranger: string, shown: string][] = [
    ["[~ada] look", "\\[\\~ada\\] look"],
    ["[x|javascript:alert(1)]", "\\[x\\|javascript:alert(1)\\]"],
    ["{color:red}x{color}", "\\{color:red\\}x\\{color\\}"],
    ["!http://evil.example/a.png!", "\\!http://evil.example/a.png\\!"],
    ["*bold* -gone- mac-07 a_b", "\\*bold\\* \\-gone\\- mac-07 a_b"],
    ["C:\\builds", "C:&#92;builds"],
  ];
  test.each(escaped)("takes the meaning of %j", (stranger, shown) => {
    expect(wiki({ failing_target: stranger })).toContain(`Failing target: ${shown}\n`);
  });

  test("keeps a log inside its fences", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("{code}", "{code:java}", "{ CODE }", "{noformat}", "x", "{", "}", "\n", "[~ada]"), {
          maxLength: 30,
        }),
        (pieces) => {
          const fences = wiki({ log_tail: pieces.join("").split("\n") }).match(/\{\s*(code|noformat)/gi) ?? [];
          expect(fences.length).toBeOneOf([0, 2]);
        },
      ),
    );
  });

  test("is short whatever a build says", () => {
    fc.assert(fc.property(anything, (said) => wiki(said).length <= 8000 && wiki(said).endsWith(marker)));
  });

  const apis: [options: object, version: number][] = [
    [{ site: "https://jira.acme.internal" }, 2],
    [{ site: "https://jira.acme.internal", email: "bot@acme.example" }, 3],
    [{ site: "https://jira.acme.internal", email: "bot@acme.example", api: "datacenter" }, 2],
    [{ site: "https://acme.atlassian.net", email: "bot@acme.example" }, 3],
    [{ site: "https://atlassian.net.acme.internal" }, 2],
  ];
  test.each(apis)("%j means API %i", (options, version) => {
    const entry = jiraComment.options.parse({ ...options, token: "jira/rest.token" });
    expect(String(jiraComment.post(announcement, entry, marker).url)).toContain(`/rest/api/${version}/`);
  });
});

describe("youtrack", () => {
  test("posts to the issue as it was delivered", () => {
    const { body, ...post } = youtrackComment.post({ ...announcement, issue_id: "2-123" }, youtrack, marker);
    expect(post).toEqual({
      method: "POST",
      url: "https://acme.youtrack.cloud/api/issues/2-123/comments?fields=id,text",
      headers: { Accept: "application/json" },
      bearer: expect.any(Secret),
    });
    expect(body).toEqual({ text: expect.any(String), usesMarkdown: true });
  });

  test("says it in four lines", () => {
    expect(markdown().split("  \n")).toEqual([
      "❌ failed · abcdef12",
      "mac-07 (attempt 1)",
      "`AppTests/testList_isEmpty`",
      `https://builds.acme.internal/runs/0190-a <!-- ${marker} -->`,
    ]);
  });

  test("shows the last line of the log where no test is known, then the reason", () => {
    const lines = (said: Partial<Announcement>) => markdown({ failing_target: null, ...said }).split("  \n");
    expect(lines({ log_tail: ["\u001B[31merror: no such module\u001B[0m", " "] })[2]).toBe("`error: no such module`");
    expect(lines({ log_tail: [] })[2]).toBe("`exit status 65`");
    expect(markdown(nothing)).toBe(`❌ failed  \nno node  \n\`meshmac runs logs 0190-a\` <!-- ${marker} -->`);
  });

  const escaped: [stranger: string, shown: string][] = [
    ["a `code` b", "`` a `code` b ``"],
    ["``` x", "```` ``` x ````"],
    ["@ada look at ada@acme.example", "`@\u200Bada look at ada@\u200Bacme.example`"],
    ["--> <b>x</b> [x](javascript:alert(1))", "`--> <b>x</b> [x](javascript:alert(1))`"],
  ];
  test.each(escaped)("takes the meaning of %j", (stranger, shown) => {
    expect(markdown({ failing_target: stranger }).split("  \n")[2]).toBe(shown);
  });

  test("keeps to four lines and its marker whatever a build says", () => {
    fc.assert(
      fc.property(anything, (said) => {
        const lines = markdown(said).split("\n");
        expect(lines.length).toBeWithin(3, 5);
        expect(lines.at(-1)).toEndWith(` <!-- ${marker} -->`);
        expect(lines.join("\n")).not.toMatch(/@[\p{L}\p{N}_]/u);
        expect(lines.join("\n").length).toBeLessThan(4000);
      }),
    );
  });
});

const reply = (status: number, body = "{}"): Reply => ({ status, headers: new Headers(), text: body });

describe.each(["jira", "youtrack"])("%s", (kind) => {
  const comment = sources.find((source) => source.kind === kind)?.comment;
  if (!comment) throw new Error(`${kind} takes no comment`);
  const entry = kind === "jira" ? cloud : youtrack;

  test("finds its own comment again", () => {
    const post: Post = comment.post(announcement, entry, marker);
    const find = comment.find(announcement, entry, marker);
    expect(find).toMatchObject({
      method: "GET",
      url: expect.stringContaining(kind === "jira" ? "orderBy=-created" : "$top="),
    });
    expect(find.body).toBeUndefined();
    const listed = JSON.stringify({ comments: [{ id: "1", body: "hello" }, post.body ?? null] });
    expect(comment.found(reply(200, listed), marker)).toBe(true);
    expect(comment.found(reply(200, listed), markerOf("another post"))).toBe(false);
  });

  test("its comment is known as ours", () => {
    expect(hasMarker(JSON.stringify(comment.post(announcement, entry, marker).body))).toBe(true);
  });

  const verdicts: [status: number, verdict: string, why: RegExp][] = [
    [200, "sent", /^$/],
    [201, "sent", /^$/],
    [400, "dead", /refused/],
    [401, "dead", /token/],
    [403, "dead", /may not comment/],
    [404, "dead", /no such issue/],
    [408, "retry", /408/],
    [409, "retry", /409/],
    [425, "retry", /425/],
    [429, "retry", /429/],
    [500, "retry", /500/],
    [503, "retry", /503/],
    [302, "dead", /redirected/],
    [418, "dead", /418/],
  ];
  test.each(verdicts)("judges %i: %s", (status, verdict, why) => {
    const judged = comment.judge(reply(status));
    expect(judged.verdict).toBe(verdict as "sent");
    expect("why" in judged ? judged.why : "").toMatch(why);
  });

  test("takes no login page for a success", () => {
    expect(comment.judge(reply(200, "\n<!DOCTYPE html><title>Log in</title>"))).toMatchObject({
      verdict: "dead",
      why: expect.stringContaining("check site"),
    });
  });
});

test("jira waits with the jitter of its published retry block", () =>
  expect(jiraComment.retry).toEqual({ jitter_ratio: 0.25 }));
