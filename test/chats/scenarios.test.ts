import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Abilities, Chat } from "../../src/chats/chat.ts";
import { chats } from "../../src/chats/registry.ts";
import { type Column, columns } from "./columns.ts";
import { scenarios } from "./scenarios.ts";

// Seventeen scenarios, each at every kind of chat: a cell is a test, or names the reason why there is nothing to test.

setDefaultTimeout(60_000);

/** Why a scenario does not apply, and what of a chat says so. */
const reasons = {
  "it prints to the operator's own terminal: nothing travels": (_can, { kind }) => kind === "console",
  "it changes no message and answers under none": (can, { kind }) => !can.edit && !can.thread && kind !== "console",
  "its message or thread is named by us, and cannot be lost": (can, column) =>
    (can.edit || can.thread) && column.open().forget === null,
} satisfies Record<string, (can: Abilities, column: Column) => boolean>;

type Reason = keyof typeof reasons;

const printed: Reason = "it prints to the operator's own terminal: nothing travels";
const fixed: Reason = "it changes no message and answers under none";
const named: Reason = "its message or thread is named by us, and cannot be lost";

/** The cells without a test: what is not here applies. */
const notHere: Record<number, Record<string, Reason>> = {
  3: { console: printed },
  4: { console: printed },
  5: { console: printed },
  7: {
    "mattermost, hook": fixed,
    "slack, hook": fixed,
    teams: fixed,
    webhook: fixed,
    openclaw: fixed,
    ntfy: named,
    "google-chat": named,
    console: printed,
  },
  8: { console: printed },
  9: { console: printed },
  12: { console: printed },
  13: { console: printed },
  15: { console: printed },
  16: { console: printed },
};

/** Which reasons may excuse a scenario. */
const excusing: Record<number, Reason[]> = { 7: [printed, fixed, named] };

const canOf = (column: Column): Abilities => {
  using far = column.open();
  const chat = chats.find(({ kind }) => kind === column.kind) as Chat;
  return chat.can(chat.options.parse(far.entry));
};

test("every kind has its column", () => {
  expect(new Set(columns.map(({ kind }) => kind))).toEqual(new Set(chats.map(({ kind }) => kind)));
  expect(scenarios.map(({ about }) => Number.parseInt(about, 10))).toEqual(Array.from({ length: 17 }, (_, n) => n + 1));
});

test("a scenario is left out exactly where what the chat can do says so", () => {
  for (const [n, cells] of Object.entries(notHere)) {
    for (const column of columns) {
      const known = excusing[Number(n)] ?? [printed];
      const holding = known.filter((reason) => reasons[reason](canOf(column), column));
      const said = cells[column.name];
      expect([n, column.name, said === undefined ? [] : [said]]).toEqual([n, column.name, holding]);
    }
  }
});

describe.each(scenarios.map((scenario, n) => [scenario.about, scenario, notHere[n + 1] ?? {}] as const))(
  "%s",
  (_about, scenario, cells) => {
    for (const column of columns) {
      const reason = cells[column.name];
      const lacks = scenario.about.startsWith("16") && Bun.which("openssl") === null;
      if (reason === undefined) test.skipIf(lacks)(column.name, () => scenario.at(column, canOf(column)));
      else test(`does not apply to ${column.name}, because ${reason}`, () => expect(reasons).toHaveProperty([reason]));
    }
  },
);
