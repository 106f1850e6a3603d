import { describe, expect, test } from "bun:test";
import { Secret } from "../../src/core/secret.ts";
import { jiraSearch } from "../../src/sources/jira-search.ts";
import { youtrackSearch } from "../../src/sources/youtrack-search.ts";
import { jiraIssue } from "../fakes/search.ts";

const outbound = { timeout: 10_000, allow_http: false };
const reply = (body: unknown) => ({
  status: 200,
  headers: new Headers(),
  text: typeof body === "string" ? body : JSON.stringify(body),
});
const issues = [jiraIssue({ key: "MOB-1", at: 1_790_000_000_000, change: "7" }, true)];

describe("Jira Data Center", () => {
  const account = { ...outbound, site: "https://jira.acme.example/jira", token: new Secret("jira/rest.token") };

  test("is asked over v2 as the bearer of its token, from an offset on", () => {
    const post = jiraSearch.find({ account, query: "project = MOB", since: 0 }, "25");
    expect(post).toMatchObject({ method: "GET", bearer: account.token });
    const url = new URL(String(post.url));
    expect(url.origin + url.pathname).toBe("https://jira.acme.example/jira/rest/api/2/search");
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      startAt: "25",
      expand: "changelog",
      jql: "project = MOB",
    });
  });

  test.each([
    [null, 3, "1"],
    ["1", 3, "2"],
    ["2", 3, null],
    [null, 0, null],
  ] as const)("reads on behind %p of %p", (cursor, total, next) =>
    expect(jiraSearch.read(reply({ issues: total === 0 ? [] : issues, total, startAt: 0 }), cursor)?.next ?? null).toBe(
      next,
    ),
  );
});

test("the last change of the status counts, whatever was edited since", () => {
  const [move] = jiraSearch.read(reply({ issues }), null)?.moves ?? [];
  expect(move?.at).toBe(1_790_000_000_000);
  expect(move?.body.changelog).toMatchObject({ id: "7", items: [{ field: "status", toString: "Building" }] });
});

test.each(["<html>log in</html>", "{}", '{"issues":[', "[", "null"])(
  "what is no list of issues is none: %s",
  (text) => {
    expect(jiraSearch.read(reply(text), null)).toBeNull();
    expect(youtrackSearch.read(reply(text), null)).toBeNull();
  },
);

test.each([[null], [{}], [{ timestamp: 1, target: null, field: {} }], ["x"]])(
  "an activity that is none is passed over: %p",
  (odd) => expect(youtrackSearch.read(reply([odd]), null)).toEqual({ moves: [], next: null }),
);
