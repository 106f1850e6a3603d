import { describe, expect, test } from "bun:test";
import { firstMatch, fold } from "../../src/core/build-when.ts";
import type { Move } from "../../src/core/move.ts";
import { buildWhen } from "../../src/core/wanted.ts";
import type { z } from "zod";
import { moved } from "./moves.ts";

type Written = z.input<typeof buildWhen>;
const found = (move: Partial<Move>, entries: Written[]) =>
  firstMatch(
    entries.map((entry) => buildWhen.parse(entry)),
    moved(move),
  );
const matches = (move: Partial<Move>, entry: Written) => "entry" in found(move, [entry]);

const cases: [about: string, move: Partial<Move>, entry: Written, matches: boolean][] = [
  ["any value of a key", {}, { status: ["Done", "Building"] }, true],
  ["every key of an entry", {}, { status: "Building", labels: "nightly" }, false],
  ["case is no difference", {}, { status: "bUILDING" }, true],
  ["blanks around are no difference", { status: [" Building "] }, { status: "Building" }, true],
  ["composed or not is no difference", { status: ["Gru\u0308n"] }, { status: "Gr\u00FCn" }, true],
  ["a status by its category", {}, { status: "indeterminate" }, true],
  ["a project by its key", {}, { project: "mob" }, true],
  ["a project by its name", {}, { project: "Mobile Apps" }, true],
  ["any label of the issue", { labels: ["a", "ci-build"] }, { labels: ["ci-build", "x"] }, true],
  ["a component", { components: ["Checkout"] }, { components: "checkout" }, true],
  ["an issue type", {}, { issue_type: ["bug"] }, true],
  ["an event", {}, { event: "jira:issue_updated" }, true],
  ["another event", {}, { event: "jira:issue_created" }, false],
  [
    "any field of changed",
    { changed: { Stage: ["Building"] } },
    { changed: { State: "Building", Stage: "Building" } },
    true,
  ],
  [
    "a field's name without regard to case",
    { changed: { stage: ["Building"] } },
    { changed: { Stage: "Building" } },
    true,
  ],
  ["a field that has another value", { changed: { Stage: ["Review"] } }, { changed: { Stage: "Building" } }, false],
  ["a field that did not change", { changed: { Priority: ["High"] } }, { changed: { Stage: "Building" } }, false],
  [
    "a path into the issue",
    { issue: { fields: { priority: { name: "High" } } } },
    { where: { "fields.priority": "high" } },
    true,
  ],
  ["a path into the body", { body: { ref: "main" } }, { where: { ref: "main" } }, true],
  [
    "any element of a list",
    { issue: { fixVersions: [{ name: "1.0" }, { name: "1.1" }] } },
    { where: { fixVersions: "1.1" } },
    true,
  ],
  ["a number or a truth value", { body: { n: 3, yes: true } }, { where: { n: "3", yes: "true" } }, true],
  ["every path of where", { body: { a: "1", b: "2" } }, { where: { a: "1", b: "3" } }, false],
  ["a path that is not there", {}, { where: { "a.b.c": "x" } }, false],
  ["a path into what every object has", {}, { where: { "constructor.name": "Object", toString: "x" } }, false],
  ["a comment, without its event named", { about: "other", event: "comment_created" }, { status: "Building" }, false],
  [
    "a comment, with its event named",
    { about: "other", event: "comment_created" },
    { event: "comment_created", status: "Building" },
    true,
  ],
];
test.each(cases)("%s", (_about, move, entry, expected) => expect(matches(move, entry)).toBe(expected));

test("any entry is enough", () => {
  expect(found({}, [{ status: "Done" }, { status: "Building" }])).toEqual({
    entry: { status: ["Building"] },
    changed: [],
  });
});

describe("a change of the issue must touch a field that the entry names", () => {
  const cosmetic: [touched: string[], entry: Written, matches: boolean][] = [
    [["description"], { status: "Building" }, false],
    [["status"], { status: "Building" }, true],
    [["Status", "resolution"], { status: "Building" }, true],
    [["labels"], { status: "Building" }, false],
    [["labels"], { status: "Building", labels: "ci-build" }, true],
    [["component"], { components: "Checkout", status: "Building" }, true],
    [["issuetype"], { issue_type: "Bug" }, true],
    [["stage"], { changed: { Stage: "Building" } }, true],
    [["customfield_10042"], { where: { "fields.customfield_10042.value": "yes" } }, true],
    [["description"], { where: { "fields.customfield_10042.value": "yes" } }, false],
    [["description"], { where: { "user.name": "ada" } }, true],
    [["description"], { project: "MOB" }, true],
    [["description"], { event: "jira:issue_updated" }, true],
    [[], { status: "Building" }, false],
  ];
  const given: Partial<Move> = {
    components: ["Checkout"],
    changed: { Stage: ["Building"] },
    issue: { fields: { customfield_10042: { value: "yes" } } },
    body: { user: { name: "ada" } },
  };
  test.each(cosmetic)("%j and %j", (touched, entry, expected) =>
    expect(matches({ ...given, touched }, entry)).toBe(expected),
  );

  test("and says which change was not enough", () => {
    expect(found({ touched: ["description"] }, [{ status: "Building" }])).toEqual({
      reason: 'only "description" changed, which no matching build_when entry names',
    });
  });

  test("unless the body does not say what changed", () =>
    expect(matches({ touched: null }, { status: "Building" })).toBe(true));
});

describe("says in one sentence what it saw nearest", () => {
  const reasons: [move: Partial<Move>, entries: Written[], reason: string][] = [
    [
      { status: ["In Review"] },
      [{ status: ["Building", "Ready for build"] }],
      'status is "In Review", wanted "Building" or "Ready for build"',
    ],
    [
      { status: ["In Review"] },
      [
        { status: "Building", project: "WEB" },
        { status: "Building", labels: "ci-build" },
      ],
      'status is "In Review", wanted "Building"',
    ],
    [{ status: [] }, [{ status: "Building" }], 'status is not set, wanted "Building"'],
    [{ labels: ["a", "b"] }, [{ status: "Building", labels: "ci-build" }], 'labels is "a", "b", wanted "ci-build"'],
    [{ labels: [] }, [{ status: "Building", labels: "ci-build" }], 'labels is not set, wanted "ci-build"'],
    [
      { labels: ["a", "b", "c", "d", "ci_build"] },
      [{ labels: ["nightly", "ci-build"] }],
      'labels is "ci_build", "a", "b", "c", …, wanted "nightly" or "ci-build"',
    ],
    [
      { components: ["Search", "Chekout"] },
      [{ status: "Building", components: "Checkout" }],
      'components is "Chekout", "Search", wanted "Checkout"',
    ],
    [{ changed: { Stage: ["Review"] } }, [{ changed: { stage: "Building" } }], 'stage is "Review", wanted "Building"'],
    [
      { changed: { Priority: ["High"] } },
      [{ changed: { Stage: "Building" } }],
      'Stage did not change, wanted "Building"',
    ],
    [{}, [{ where: { ref: ["main"] } }], 'ref is not set, wanted "main"'],
    [
      { status: ["a\nb\u202E"] },
      [{ status: ["1", "2", "3", "4", "5"] }],
      'status is "a b", wanted "1" or "2" or "3" or "4" or …',
    ],
  ];
  test.each(reasons)("%j", (move, entries, reason) => {
    expect(found(move, entries)).toEqual({ reason: `no build_when entry matched: ${reason}` });
  });

  test("of an event that is no move of the issue", () => {
    expect(found({ about: "other", event: "comment_created" }, [{ status: "Building" }])).toEqual({
      reason: '"comment_created" is no change of the issue itself, and no build_when entry names that event',
    });
  });
});

test("folds a name to one spelling", () => expect(fold("  BAU\u0308EN ")).toBe("baüen"));
