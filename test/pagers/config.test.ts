import { expect, test } from "bun:test";
import { parseConfig } from "../../src/config/parse.ts";

const problemsOf = (raw: object) => parseConfig(raw).problems.map(({ path, says }) => `${path}: ${says}`);
const chats = { alarms: { kind: "console", states: [] } };

test("takes every kind of pager, and a heartbeat", () => {
  const raw = {
    chats,
    pagers: {
      oncall: { kind: "pagerduty", key: "pagerduty/routing.key" },
      hook: { kind: "webhook", url: "oncall/page.url", key: "oncall/signing.key", rate: "1/s" },
      alarms: { kind: "chat", chat: "alarms" },
    },
    escalate_after: "5m",
    heartbeat: { url: "deadman/ping.url", every: "30s" },
  };
  const { config, problems } = parseConfig(raw);
  expect(problems).toEqual([]);
  expect(config.escalate_after).toBe(300_000);
  expect(config.heartbeat).toMatchObject({ every: 30_000, timeout: 10_000 });
});

test.each([
  [{ alarms: { kind: "chat", chat: "alarm" } }, 'pagers.alarms.chat: no chat "alarm" (did you mean "alarms"?)'],
  [{ oncall: { kind: "opsgenie" } }, /^pagers\.oncall\.kind: expected one of .*pagerduty.*webhook.*chat/],
  [{ oncall: { kind: "pagerduty", key: "0123456789abcdef0123456789abcdef" } }, /^pagers\.oncall\.key: name a file/],
  [
    { oncall: { kind: "pagerduty", key: "p/routing.key", base_url: "http://events.example" } },
    /^pagers\.oncall\.base_url: expected https/,
  ],
])("refuses %j", (pagers, problem) => {
  const problems = problemsOf({ chats, pagers });
  expect(problems).toHaveLength(1);
  if (typeof problem === "string") expect(problems[0]).toBe(problem);
  else expect(problems[0]).toMatch(problem);
});
