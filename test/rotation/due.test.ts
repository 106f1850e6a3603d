import { expect, test } from "bun:test";
import { type Due, dueIn, isPressing } from "../../src/rotation/due.ts";
import type { Status } from "../../src/rotation/status.ts";

const day = 86_400_000;

const statusOf = (over: Partial<Status>): Status => ({
  secret: "jira/inbound.token",
  kind: "door",
  system: "jira",
  owner: "ops",
  every_ms: 90 * day,
  window_ms: day,
  expires_ms: null,
  current: { key_id: "0a1b2c3d", age_ms: 10 * day },
  next: null,
  prev: null,
  doing: null,
  window_over: false,
  overdue: false,
  uses: [],
  gateways: [],
  objections: null,
  steps: [],
  next_step: null,
  problem: null,
  ...over,
});
const current = (days: number) => ({ current: { key_id: "0a1b2c3d", age_ms: days * day }, overdue: days > 90 });
const next = { key_id: "99887766", age_ms: 2 * day, reason: "planned" as const };

test.each<[string, Partial<Status>, Due["why"], boolean]>([
  ["nothing of a fresh secret", {}, [], false],
  ["what is older than its calendar allows", current(91), ["overdue"], true],
  ["what will be within two weeks", current(80), ["soon"], false],
  ["what the other side will refuse within two weeks", { expires_ms: 13 * day }, ["soon"], false],
  ["what the other side refuses already", { expires_ms: -day }, ["overdue"], true],
  ["nothing that lives for a month", { expires_ms: 30 * day }, [], false],
  ["what has nobody to do it", { owner: null }, ["no owner"], false],
  ["what was staged and forgotten", { next, window_over: true }, ["window over"], true],
  ["nothing of what is being rotated", { ...current(91), next }, [], false],
  ["what was left half done", { doing: "commit" }, ["unfinished"], true],
  ["what cannot be read", { problem: { says: "x", hint: null }, current: null }, ["unreadable"], true],
  ["everything at once", { ...current(99), owner: null }, ["overdue", "no owner"], true],
])("lists %s", (_about, over, why, pressing) => {
  const due = dueIn([statusOf(over)]);
  expect(due.map((one) => one.why)).toEqual(why.length === 0 ? [] : [why]);
  expect(due.some(isPressing)).toBe(pressing);
});
