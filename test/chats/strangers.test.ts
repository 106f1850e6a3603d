import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Chat, Given } from "../../src/chats/chat.ts";
import { chats } from "../../src/chats/registry.ts";
import { isObject } from "../../src/core/json.ts";
import { columns } from "./columns.ts";
import { announcements } from "./strangers.ts";

// No text of a stranger mentions, links or marks up anything, not even one that nothing cleaned before. That it stays within
// the limits and well formed is told in chats.test.ts.

const layouts: fc.Arbitrary<Partial<Given>> = fc
  .constantFrom({}, { plain: true }, { edit: true }, { edit: true, plain: true }, { threaded: true, thread: true })
  .map(({ edit, thread, ...how }: { edit?: boolean; thread?: boolean; plain?: boolean; threaded?: boolean }) => ({
    ...how,
    ...(edit && { edit: handle }),
    ...(thread && { thread: handle }),
  }));
const handle = "p01xyz13456xyz13456xyz1345";

describe.each(columns.map((column) => [column.name, column] as const))("%s", (_name, column) => {
  using far = column.open();
  const chat = chats.find(({ kind }) => kind === column.kind) as Chat;
  const options = chat.options.parse(far.entry);

  test("shows a stranger's text as text", () =>
    fc.assert(
      fc.property(announcements, layouts, (announcement, how) => {
        const given = { key: "5e".repeat(32), subject: "@all <!here> [x](https://evil.example)", ...how };
        const { body } = chat.post({ ...announcement, run_url: null, issue_url: null }, options, given);
        expect(column.activeIn(isObject(body) ? body : {}, [])).toEqual([]);
      }),
      { numRuns: 300 },
    ));
});
