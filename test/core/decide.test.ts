import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import fc from "fast-check";
import type { z } from "zod";
import { fold } from "../../src/core/build-when.ts";
import { decide, type DoorRules, type Given } from "../../src/core/decide.ts";
import type { Json } from "../../src/core/json.ts";
import { hasMarker, markerOf } from "../../src/core/marker.ts";
import type { Move } from "../../src/core/move.ts";
import { buildWhen, taskOptions } from "../../src/core/wanted.ts";
import { moved } from "./moves.ts";

const minute = 60_000;
const given: Given = { source: "jira", run_id: "0190-a", correlation_id: "c-1", seen_at: 1_790_000_000_000 };

interface Door extends Pick<DoorRules, "dedupe_on" | "dry_run" | "debounce"> {
  cancel_when?: z.input<typeof buildWhen>[];
  build_when?: z.input<typeof buildWhen>[];
  task?: Partial<z.input<typeof taskOptions>>;
}
const door = ({
  build_when = [{ status: ["Building"] }],
  cancel_when = [],
  task = {},
  ...more
}: Door = {}): DoorRules => ({
  ...more,
  cancel_when: cancel_when.map((entry) => buildWhen.parse(entry)),
  build_when: build_when.map((entry) => buildWhen.parse(entry)),
  task: taskOptions.parse({ script: "build-ios", lane: "ios", repo: "app", ...task }),
  dedupe_window: 5 * minute,
  repos: { app: "git@git.acme.example:acme/app.git" },
  lanes: { ios: { timeout: 45 * minute } },
});

const decided = (move: Partial<Move> = {}, configured: Door = {}, seen: Partial<Given> = {}) => {
  const decision = decide(moved(move), door(configured), { ...given, ...seen });
  if (!("task" in decision)) throw new Error(JSON.stringify(decision));
  return decision;
};
const ignored = (move: Partial<Move>, configured: Door = {}) => {
  const decision = decide(moved(move), door(configured), given);
  return "ignored" in decision ? decision.ignored : null;
};
const intentMark = (move: Partial<Move>, configured: Door = {}, seen: Partial<Given> = {}) =>
  decided(move, configured, seen).marks.at(-1)?.key;

test("makes the task that the door's configuration describes", () => {
  expect(decided({ issueUrl: "https://acme.atlassian.net/browse/MOB-12" })).toEqual({
    task: {
      v: 1,
      run_id: "0190-a",
      source: "jira",
      issue_key: "MOB-12",
      issue_id: "10012",
      issue_url: "https://acme.atlassian.net/browse/MOB-12",
      project: "MOB",
      transition_id: "Building",
      summary: "Crash when the list is empty",
      requested_by: "Ada Example",
      repo_url: "git@git.acme.example:acme/app.git",
      ref: "main",
      script: "build-ios",
      lane: "ios",
      params: {},
      timeout_s: 2700,
      idempotency_key: "jira:MOB-12:Building:5966666",
      correlation_id: "c-1",
      accepted_at: 1_790_000_000_000,
    },
    marks: [{ key: expect.stringMatching(/^i\/[0-9a-f]{64}$/), window_ms: 5 * minute }],
  });
});

test("ignores a move that nothing in build_when asks for, and says why", () => {
  expect(ignored({ status: ["Done"] })).toBe('no build_when entry matched: status is "Done", wanted "Building"');
});

const from = (path: string, fallback?: string) => ({
  from: path,
  ...(fallback !== undefined && { default: fallback }),
});

describe("ref", () => {
  const taken: [
    about: string,
    move: Partial<Move>,
    ref: z.input<typeof taskOptions>["ref"],
    expected: string | null,
  ][] = [
    ["a plain name", {}, "release/1.0", "release/1.0"],
    ["a field of the issue", { issue: { fields: { cf: "feature/x" } } }, from("fields.cf", "main"), "feature/x"],
    [
      "the body where the issue has nothing",
      { issue: { ref: "" }, body: { ref: "feature/x" } },
      from("ref", "main"),
      "feature/x",
    ],
    ["the issue before the body", { issue: { ref: "one" }, body: { ref: "two" } }, from("ref"), "one"],
    ["an option's value", { issue: { cf: { id: "7", value: "feature/x" } } }, from("cf"), "feature/x"],
    ["an object's name", { issue: { cf: { name: "feature/x" } } }, from("cf"), "feature/x"],
    ["a list of one", { issue: { cf: ["feature/x"] } }, from("cf"), "feature/x"],
    ["the default for what is absent", {}, from("fields.cf", "main"), "main"],
    ["the default for null", { issue: { cf: null } }, from("cf", "main"), "main"],
    ["the default for an empty text", { issue: { cf: "" } }, from("cf", "main"), "main"],
    ["the default for an empty list", { issue: { cf: [] } }, from("cf", "main"), "main"],
    ["never the default for a bad one", { issue: { cf: "--upload-pack=x" } }, from("cf", "main"), null],
    ["never the default for a blank", { issue: { cf: " " } }, from("cf", "main"), null],
    ["never the default for what is no text", { issue: { cf: { id: 7 } } }, from("cf", "main"), null],
    ["nothing where there is no default", {}, from("cf"), null],
    ["nothing that an object has by nature", {}, from("constructor.name", "main"), "main"],
  ];
  test.each(taken)("takes %s", (_about, move, ref, expected) => {
    if (expected === null) expect(ignored(move, { task: { ref } })).toBe("bad ref");
    else expect(decided(move, { task: { ref } }).task.ref).toBe(expected);
  });
});

test("takes params as they are, and at most 64 KiB of each", () => {
  const { task } = decided(
    {
      issue: {
        fields: {
          n: 3,
          tags: [{ name: "a" }, { name: "b" }],
          text: "a\n\u0000b",
          long: "😀".repeat(40_000),
          odd: { id: 1 },
        },
      },
    },
    {
      task: {
        params: {
          scheme: "Release",
          n: { from: "fields.n" },
          tags: { from: "fields.tags" },
          text: { from: "fields.text" },
          long: { from: "fields.long" },
          none: { from: "fields.none", default: "x" },
          odd: { from: "fields.odd" },
        },
      },
    },
  );
  const { long, ...rest } = task.params;
  expect(rest).toEqual({ scheme: "Release", n: "3", tags: "a,b", text: "a\n\u0000b", none: "x", odd: "" });
  expect(long?.length).toBe(64 * 1024);
});

test("keeps what people wrote on one line and short", () => {
  const { task } = decided({
    summary: `a\r\nb\u001B[31m\u202Ec${"x".repeat(2000)}`,
    requestedBy: `${"😀".repeat(150)}`,
  });
  expect(task.summary).toStartWith("a b [31m cx");
  expect(task.summary.length).toBe(1000);
  expect(task.requested_by).toBe("😀".repeat(100));
});

test("takes the timeout of the task, then of the lane, then an hour", () => {
  expect(decided({}, { task: { timeout: "90s" } }).task.timeout_s).toBe(90);
  expect(decided({}, { task: { lane: "ios" } }).task.timeout_s).toBe(2700);
  expect(decided({}, { task: { lane: "toString" } }).task.timeout_s).toBe(3600);
});

const key = (deliveryId: string | null) => decided({ deliveryId }).marks.map((mark) => mark.key);

describe("delivery mark", () => {
  test("is the sender's id, for 8 days", () => {
    expect(decided({ deliveryId: "70010010010010012" }).marks[0]).toEqual({
      key: "d/jira/70010010010010012",
      window_ms: 691_200_000,
    });
  });
  test("is absent where the sender has no id", () => expect(key(null)).toHaveLength(1));
  test.each(["x".repeat(129), "a b", "a/b", "é", "a\nb"])("is a hash of an id like %j", (id) => {
    expect(key(id)[0]).toBe(`d/jira/${createHash("sha256").update(id).digest("hex")}`);
  });
});

const folded = (values: string[]) => JSON.stringify(values.map(fold).toSorted());

describe("intent mark", () => {
  type Pair = [about: string, one: Partial<Move>, other: Partial<Move>, configured?: Door];
  const complete = (pairs: Pair[]) =>
    pairs.map(([about, one, other, configured = {}]) => [about, one, other, configured] as const);
  const both: Door = { build_when: [{ status: "Building", labels: ["ci-build", "nightly"] }] };
  const staged: Door = { build_when: [{ changed: { Stage: ["Building", "Testing"] } }] };

  const same: Pair[] = [
    [
      "five delivery ids of one changelog",
      { deliveryId: "1", transitionId: "10227" },
      { deliveryId: "5", transitionId: "10227" },
    ],
    ["a label that no entry names", { labels: ["ci-build", "docs"] }, { labels: ["ci-build"] }, both],
    ["labels in another order", { labels: ["nightly", "ci-build"] }, { labels: ["CI-Build", "nightly"] }, both],
    ["labels, where the entry names none", { labels: ["a"] }, { labels: ["b"] }],
    ["a new summary", { summary: "a" }, { summary: "b" }],
    ["another person", { requestedBy: "a" }, { requestedBy: "b" }],
    ["a new value in another case", { changed: { Stage: ["Building"] } }, { changed: { Stage: ["building"] } }, staged],
    [
      "a field that the entry does not name",
      { changed: { Stage: ["Building"] } },
      { changed: { Stage: ["Building"], Priority: ["High"] } },
      staged,
    ],
  ];
  test.each(complete(same))("is the same for %s", (_about, one, other, configured) => {
    expect(intentMark(one, configured)).toBe(intentMark(other, configured) ?? "none");
  });

  const different: Pair[] = [
    [
      "two label sets of one status, both named by the entry",
      { labels: ["ci-build"] },
      { labels: ["ci-build", "nightly"] },
      both,
    ],
    ["two transitions", { transitionId: "10227" }, { transitionId: "10228" }],
    ["two issues", { issueKey: "MOB-12" }, { issueKey: "MOB-13" }],
    ["two new values", { changed: { Stage: ["Building"] } }, { changed: { Stage: ["Testing"] } }, staged],
    ["a transition called like a status", { transitionId: "Building" }, {}],
  ];
  test.each(complete(different))("differs for %s", (_about, one, other, configured) => {
    expect(intentMark(one, configured)).not.toBe(intentMark(other, configured));
  });

  test("differs where only the edges between values do", () => {
    const every: Door = { build_when: [{ changed: { Stage: ["a", "bc", "ab", "c"] } }] };
    const split = intentMark({ changed: { Stage: ["a", "bc"] } }, every);
    expect(split).not.toBe(intentMark({ changed: { Stage: ["ab", "c"] } }, every));
  });

  test("differs between two sources", () => expect(intentMark({}, {}, { source: "jira2" })).not.toBe(intentMark({})));

  test("does not know what time it is", () => {
    const edge = 1_790_000_100_000;
    expect(intentMark({}, {}, { seen_at: edge - 1000 })).toBe(intentMark({}, {}, { seen_at: edge + 1000 }) ?? "none");
  });

  test("is the event where nothing else is said", () => {
    const any: Door = { build_when: [{ event: ["issueCreated", "issueUpdated"] }] };
    const none = { status: [], labels: [] };
    expect(decided({ ...none, event: "issueCreated" }, any).task.transition_id).toBe("issueCreated");
    expect(intentMark({ ...none, event: "issueCreated" }, any)).not.toBe(
      intentMark({ ...none, event: "issueUpdated" }, any),
    );
  });

  test("no text in one place can pass for another's", () => {
    const words = fc.array(fc.string(), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(words, words, (one, other) => {
        const every: Door = { build_when: [{ changed: { Stage: [...one, ...other] } }] };
        const marks = [one, other].map((Stage) => intentMark({ changed: { Stage } }, every));
        return (marks[0] === marks[1]) === (folded(one) === folded(other));
      }),
    );
  });
});

describe("dedupe_on", () => {
  const byFix: Door = { dedupe_on: ["fields.fix", "ref"] };
  const at = (fix: Json, ref: string): Partial<Move> => ({
    issue: { fields: { fix } },
    body: { ref },
    transitionId: ref,
  });

  test("makes the intent of the values at its paths, and of nothing else", () => {
    const one = at([{ name: "1.0" }, { name: "1.1" }], "main");
    const same = { ...at([{ name: "1.1" }, { name: "1.0" }], "main"), transitionId: "777", status: ["Building", "x"] };
    expect(intentMark(one, byFix)).toBe(intentMark(same, byFix) ?? "none");
    expect(intentMark(one, byFix)).not.toBe(intentMark(at("1.0", "main"), byFix));
    expect(intentMark(one, byFix)).not.toBe(intentMark(at([{ name: "1.0" }, { name: "1.1" }], "next"), byFix));
    expect(decided(one, byFix).task.transition_id).toBe("fields.fix=1.0,ref=main");
  });

  test("tells a value at one path from the same at another", () =>
    expect(intentMark(at("x", ""), byFix)).not.toBe(intentMark(at("", "x"), byFix)));
});

describe("a lane table", () => {
  const table = { from: "labels", map: { "lane:urgent": "fast", "Lane:iOS": "ios" }, default: "slow" };
  const laneOf = (move: Partial<Move>, lane: z.input<typeof taskOptions>["lane"]) =>
    decided(move, { task: { lane } }).task;
  test.each<[string, Partial<Move>, string]>([
    ["a label, without regard to case", { labels: ["LANE:IOS"] }, "ios"],
    ["the first of its names that the issue has", { labels: ["lane:ios", "lane:urgent"] }, "fast"],
    ["the default where it has none", { labels: ["docs"] }, "slow"],
  ])("goes by %s", (_about, move, lane) => expect(laneOf(move, table).lane).toBe(lane));

  test("brings the timeout of its lane along", () =>
    expect(laneOf({ labels: ["lane:ios"] }, table).timeout_s).toBe(2700));
  test("reads components, or any path", () => {
    expect(laneOf({ components: ["App"] }, { from: "components", map: { app: "ios" } }).lane).toBe("ios");
    expect(
      laneOf({ issue: { fields: { team: { value: "Web" } } } }, { from: "fields.team", map: { web: "ios" } }).lane,
    ).toBe("ios");
    expect(laneOf({}, { from: "toString", map: { web: "ios" } }).lane).toBe("default");
  });
});

test("a dry run says what would be built, or why nothing would", () => {
  expect(ignored({ labels: ["x"] }, { dry_run: true })).toBe("dry run: would build build-ios of main on lane ios");
  expect(ignored({ status: ["Done"] }, { dry_run: true })).toContain('status is "Done"');
});

describe("cancel_when", () => {
  const out: Door = { cancel_when: [{ status: ["To Do", "Building"] }] };
  const judged = (move: Partial<Move>, more: Door = {}) => decide(moved(move), door({ ...out, ...more }), given);
  test("takes back what an issue asked for that matches it", () =>
    expect(judged({ status: ["To Do"] })).toEqual({ withdraw: "MOB-12", why: "issue withdrawn: To Do" }));
  test("yields to build_when", () => expect(judged({})).toHaveProperty("task"));
  test("leaves the reason of build_when to all else", () =>
    expect(judged({ status: ["Done"] })).toEqual({
      ignored: 'no build_when entry matched: status is "Done", wanted "Building"',
    }));
  test("only says so in a dry run", () =>
    expect(judged({ status: ["To Do"] }, { dry_run: true })).toEqual({
      ignored: "dry run: would cancel what is queued of MOB-12",
    }));
});

describe("debounce", () => {
  const judged = (move: Partial<Move>, more: Door = {}) =>
    decide(moved(move), door({ debounce: 3000, ...more }), given);
  const callsOff = (move: Partial<Move>, more: Door = {}) => "callOff" in judged(move, more);
  const changed: Door = { build_when: [{ event: ["updated"], changed: { Stage: ["Building"] } }] };
  const labelled: Door = { build_when: [{ labels: ["ci-build"] }] };

  test("calls off what waits where the issue left, with the reason for which it is ignored", () => {
    const reason = 'no build_when entry matched: status is "To Do", wanted "Building"';
    expect(judged({ status: ["To Do"] })).toEqual({
      ignored: reason,
      callOff: 'issue withdrawn: status is "To Do", wanted "Building"',
    });
    expect(decide(moved({ status: ["To Do"] }), door(), given)).toEqual({ ignored: reason });
  });
  test("yields to cancel_when, and to a dry run", () => {
    expect(judged({ status: ["To Do"] }, { cancel_when: [{ status: ["To Do"] }] })).toHaveProperty("withdraw");
    expect(callsOff({ status: ["To Do"] }, { dry_run: true })).toBe(false);
  });
  test.each<[what: string, expected: boolean, move: Partial<Move>, configured: Door]>([
    ["a status that is another", true, { status: ["To Do"] }, {}],
    ["a status that changed to another", true, { status: ["To Do"], touched: ["status"] }, {}],
    ["an edit that was sent before the move and came after it", false, { status: ["To Do"], touched: ["summary"] }, {}],
    ["a body without a status", false, { status: [] }, {}],
    ["a comment on an issue in the build state", false, { about: "other", event: "commented" }, {}],
    ["an edit of the summary", false, { touched: ["summary"] }, {}],
    ["another event", false, { event: "commented" }, changed],
    ["a change of another field", false, { event: "updated", changed: { Priority: ["Low"] } }, changed],
    ["a change of the field to something else", true, { event: "updated", changed: { stage: ["Open"] } }, changed],
    ["no labels in a body that does not say what changed", false, { labels: [] }, labelled],
    ["the last label taken away", true, { labels: [], touched: ["labels"] }, labelled],
    [
      "a label taken away that was the one",
      true,
      { labels: [], touched: ["unlabeled"], changed: { labels: [] } },
      labelled,
    ],
    [
      "a label taken away that was another",
      false,
      { labels: ["ci-build"], touched: ["unlabeled"], changed: { labels: ["ci-build"] } },
      labelled,
    ],
    [
      "a label taken away of those that were awaited",
      true,
      { labels: [], touched: ["unlabeled"], changed: { labels: [] } },
      { build_when: [{ changed: { labels: ["ci-build"] } }] },
    ],
    ["a value at a path", true, { issue: { a: "2" } }, { build_when: [{ where: { a: ["1"] } }] }],
    [
      "what one of two entries still wants",
      false,
      { status: ["To Do"] },
      { build_when: [{ status: ["Building"] }, { labels: ["x"], event: ["e"] }, { event: ["y"] }] },
    ],
  ])("says that the issue left: %s → %p", (_what, expected, move, configured) => {
    expect(callsOff(move, configured)).toBe(expected);
  });
});

describe("transition_id reads well", () => {
  const readable: [move: Partial<Move>, configured: Door, expected: string | RegExp][] = [
    [{ transitionId: "10227" }, {}, "10227"],
    [{}, {}, "Building"],
    [{}, { build_when: [{ status: "Building", labels: "ci-build" }] }, /^Building\+[0-9a-f]{8}$/],
    [{ changed: { Stage: ["Building"] } }, { build_when: [{ changed: { stage: "Building" } }] }, "Stage=Building"],
    [{ transitionId: `a\n${"b".repeat(500)}` }, {}, /^a b{118}$/],
  ];
  test.each(readable)("%j", (move, configured, expected) => {
    const { task } = decided(move, configured);
    expect(task.transition_id).toMatch(
      typeof expected === "string" ? new RegExp(`^${RegExp.escape(expected)}$`) : expected,
    );
    expect(task.idempotency_key).toBe(`jira:MOB-12:${task.transition_id}:5966666`);
  });
});

test("a marker is short, the same for one post, and known again", () => {
  const marker = markerOf("a".repeat(64));
  expect(marker).toMatch(/^meshmac:[0-9a-f]{16}$/);
  expect(markerOf("a".repeat(64))).toBe(marker);
  expect(markerOf("b".repeat(64))).not.toBe(marker);
  expect(hasMarker(`text\n<!-- ${marker} -->`)).toBe(true);
  expect(hasMarker("we call it meshmac: it builds")).toBe(false);
});
