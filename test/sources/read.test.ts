import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { usualDoor } from "../../fixtures/recorded.ts";
import { type Json, type JsonObject, parseStranger } from "../../src/core/json.ts";
import { isIssueName, Malformed } from "../../src/core/move.ts";
import { jira } from "../../src/sources/jira.ts";
import { sources } from "../../src/sources/registry.ts";
import { readJira } from "../../src/sources/jira-read.ts";
import { youtrack } from "../../src/sources/youtrack.ts";
import { readYoutrack } from "../../src/sources/youtrack-read.ts";
import { recorded } from "./fixtures.ts";

setDefaultTimeout(60_000); // thousands of bodies each, whatever else the machine does

const base = {
  path: "/door",
  token: "inbound/door.token",
  ...usualDoor,
};

for (const source of sources) {
  const fixtures = (await recorded(source.kind)).filter((fixture) => fixture.expect !== undefined);
  describe(source.kind, () => {
    test("has recorded exchanges", () => expect(fixtures.length).toBeGreaterThan(10));

    test.each(fixtures.map((fixture) => [fixture.about, fixture] as const))("reads: %s", (_about, fixture) => {
      const { comment, ...own } = fixture.options ?? {};
      const options = source.options.parse({ ...base, ...own, kind: source.kind });
      const entry = { ...options, ...(comment !== undefined && { comment: source.comment?.options.parse(comment) }) };
      const body = parseStranger(JSON.stringify(fixture.body)) as JsonObject;
      const read = () => source.read(body, new Headers(fixture.headers), entry);

      const { malformed, ignored, report, ...facts } = fixture.expect ?? {};
      if (typeof malformed === "string") {
        expect(read).toThrow(new Malformed(malformed, ""));
        return;
      }
      const seen = read();
      if (ignored !== undefined) expect(seen).toEqual({ ignored: String(ignored) });
      else if (report !== undefined) expect(seen).toMatchObject({ report });
      else expect("move" in seen && { ...seen.move, changed: { ...seen.move.changed } }).toMatchObject(facts);
    });
  });
}

test("every event of the Webhook Triggers app has a recorded exchange", async () => {
  const events = new Set((await recorded("youtrack")).map(({ body }) => String(body.event)));
  expect([...events]).toContainValues([
    "issueCreated",
    "issueUpdated",
    "issueDeleted",
    "commentAdded",
    "commentUpdated",
    "commentDeleted",
    "workItemAdded",
    "workItemUpdated",
    "workItemDeleted",
    "issueAttachmentAdded",
    "issueAttachmentDeleted",
  ]);
});

test("keeps to the address of the configuration, whatever host a body names", () => {
  const body = { issue: { self: "https://evil.example/rest/api/2/issue/1", key: "MOB-12", id: "1", fields: {} } };
  const seen = readJira(body, new Headers(), { comment: { site: "https://acme.atlassian.net" } });
  expect(seen).toMatchObject({ move: { issueUrl: "https://acme.atlassian.net/browse/MOB-12" } });
  expect(readJira(body, new Headers(), {})).toMatchObject({ move: { issueUrl: null } });
});

test("says how to mend a body that cannot be read", () => {
  expect(jira.badJsonHint).toContain("{{issue.summary.asJsonString}}");
  expect(() => readJira({ event: "build" }, new Headers(), {})).toThrow(
    expect.objectContaining({ hint: expect.stringContaining("{{issue.key}}") }),
  );
});

test("knows the mask that YouTrack sends in place of a token", () => {
  expect(youtrack.fakeTokens?.secret).toContain("known fault of YouTrack");
});

test("field names of a stranger reach no prototype", () => {
  const items = ["__proto__", "constructor", "toString"].map((field) => ({ field, to: "polluted" }));
  const jiraSeen = readJira({ issue: { key: "MOB-12" }, changelog: { id: 1, items } }, new Headers(), {});
  const changedFields = items.map(({ field, to }) => ({ name: field, value: to }));
  const youtrackSeen = readYoutrack({ event: "issueUpdated", id: "MOB-12", changedFields }, new Headers(), {});
  for (const seen of [jiraSeen, youtrackSeen]) {
    expect("move" in seen && Object.keys(seen.move.changed)).toEqual(["__proto__", "constructor", "toString"]);
  }
  expect({}).not.toHaveProperty("polluted");
});

// What the readers look at, filled with anything.
const keys = fc.constantFrom(
  ..."event id key issue fields status labels components project changelog items field toString to comment comments author webhookEvent".split(
    " ",
  ),
  ..."issue_key changedFields name value user updatedBy presentation statusCategory transition client_payload body".split(
    " ",
  ),
);
const hostile = fc.letrec((tie) => ({
  any: fc.oneof(
    { depthSize: "medium" },
    fc.constantFrom("MOB-12", "", "comment_created", "jira:issue_updated", "issueUpdated", "commentAdded", "__proto__"),
    fc.string({ unit: "binary" }),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("any"), { maxLength: 4 }),
    tie("object"),
  ),
  object: fc.dictionary(keys, tie("any"), { maxKeys: 8 }),
}));

test.each([
  [
    "jira",
    (body: JsonObject) =>
      readJira(body, new Headers(), { comment: { site: "https://a.example", email: "b@a.example" } }),
  ],
  ["youtrack", (body: JsonObject) => readYoutrack(body, new Headers(), {})],
] as const)("%s reads anything, or says that it is malformed", (_kind, read) => {
  fc.assert(
    fc.property(hostile.object, (made) => {
      const body = JSON.parse(JSON.stringify(made)) as JsonObject;
      try {
        const seen = read(body);
        if (!("move" in seen)) return "ignored" in seen && typeof seen.ignored === "string";
        const { issueKey, issueId, status, labels, components, requestedBy, summary } = seen.move;
        return [issueKey, issueId, requestedBy, summary, ...status, ...labels, ...components].every(
          (text) => typeof text === "string",
        );
      } catch (fault) {
        return fault instanceof Malformed && fault.hint !== "";
      }
    }),
    { numRuns: 2000 },
  );
});

/** The same body with something else at a place of it, which `where` chooses among all. */
function mutated(body: Json, where: number, value: Json): Json {
  const copy = structuredClone(body);
  const places: (() => void)[] = [];
  const walk = (here: Json) => {
    if (typeof here !== "object" || here === null) return;
    for (const key of Object.keys(here)) {
      places.push(() => void Reflect.set(here, key, value));
      walk(Reflect.get(here, key) as Json);
    }
  };
  walk(copy);
  places[where % Math.max(1, places.length)]?.();
  return copy;
}

for (const source of sources) {
  const fixtures = (await recorded(source.kind)).filter((fixture) => fixture.expect !== undefined);
  test(`${source.kind} reads what it knows with anything changed in it, or says that it is malformed`, () => {
    const change = fc.tuple(fc.nat(), hostile.any);
    const changed = fc.tuple(fc.constantFrom(...fixtures), fc.array(change, { minLength: 1, maxLength: 3 }));
    fc.assert(
      fc.property(changed, ([fixture, changes]) => {
        const { comment: _, ...own } = fixture.options ?? {};
        const options = source.options.parse({ ...base, ...own, kind: source.kind });
        const body = changes.reduce<Json>((so, [where, value]) => mutated(so, where, clean(value)), fixture.body);
        try {
          const seen = source.read(body as JsonObject, new Headers(fixture.headers), {
            ...options,
            comment: undefined,
          });
          if ("ignored" in seen) return typeof seen.ignored === "string" && seen.ignored.length < 400;
          if ("report" in seen) return seen.report.provider_run_id !== "" && JSON.stringify(seen).length < 8000;
          const { issueKey, issueId, status, labels, requestedBy, summary } = seen.move;
          const texts = [requestedBy, summary, ...status, ...labels];
          return isIssueName(issueKey) && isIssueName(issueId) && texts.every((text) => typeof text === "string");
        } catch (fault) {
          return fault instanceof Malformed && fault.hint !== "";
        }
      }),
      { numRuns: 1000 },
    );
  });
}

const clean = (value: unknown): Json => JSON.parse(JSON.stringify(value) ?? "null") as Json;
