import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { flatPlist, isTalkName, talksIn } from "../../src/doctor/talk.ts";

// Invented values, each of the shape that its service gives out.
const x = (length: number): string => "a1".repeat(length / 2);
const speaking: [kind: string, line: string][] = [
  ["a Slack hook", `curl https://hooks.slack.com/services/T0/B0/${x(24)}`],
  ["a Slack token", `export T=xoxb-${x(24)}`],
  ["the API of Slack", "curl https://slack.com/api/chat.postMessage"],
  ["a Discord hook", "curl https://discord.com/api/webhooks/12/$HOOK"],
  ["a Mattermost hook", `curl https://chat.acme.example/hooks/${x(26)}`],
  ["the API of Mattermost", "curl https://chat.acme.example/api/v4/posts"],
  ["a Google Chat hook", "curl https://chat.googleapis.com/v1/spaces/AAAA/messages"],
  ["a Teams hook", `curl https://acme.webhook.office.com/webhookb2/${x(30)}`],
  ["a Telegram token", `curl https://telegram.acme.example/bot1234567:AA${x(32)}/send`],
  ["the API of Telegram", "curl https://api.telegram.org/bot$T/sendMessage"],
  ["the API of Matrix", "curl https://matrix.acme.example/_matrix/client/v3/rooms"],
  ["an Atlassian token", `T=ATATT3${x(40)}`],
  ["the API of Jira", "curl https://acme.atlassian.net/rest/api/3/issue/MOB-12/comment"],
  ["a YouTrack token", `curl -H 'Authorization: Bearer perm:${x(30)}'`],
  ["the API of YouTrack", "curl https://acme.youtrack.cloud/api/issues/MOB-12/comments"],
  ["the API of Linear", "curl https://api.linear.app/graphql"],
  ["a token by the name of its variable", "JIRA_API_TOKEN=abcdefgh"],
];

describe("finds in a line", () => {
  test.each(speaking)("%s", (kind, line) => {
    expect(talksIn(`#!/bin/sh\n${line}\n`)).toContainEqual({ kind, line: 2 });
  });
});

const quiet: [about: string, line: string][] = [
  ["meshmac notify", "meshmac notify --chat builds --state succeeded"],
  ["a git token, which a build may need", `git clone https://ghp_${x(30)}@git.acme.example/app`],
  ["an address in a comment", "# https://acme.atlassian.net/rest/api/3/issue is asked by the gateway"],
  ["an issue that is only linked", "echo https://acme.atlassian.net/browse/MOB-12"],
  ["a variable that is looked up", 'JIRA_API_TOKEN="$TOKEN"'],
  ["a word", "say hooks, slack and discord"],
];

test.each(quiet)("has nothing against %s", (_about, line) => {
  expect(talksIn(line)).toEqual([]);
});

test("a token counts in a comment, too", () => {
  expect(talksIn(`# old: xoxb-${x(24)}`)).toEqual([{ kind: "a Slack token", line: 1 }]);
});

test("says each kind once, where it first stands", () => {
  const hook = `https://hooks.slack.com/services/T0/B0/${x(24)}`;
  expect(talksIn(`\n${hook}\n${hook}\nxoxb-${x(24)}`)).toEqual([
    { kind: "a Slack hook", line: 2 },
    { kind: "a Slack token", line: 4 },
  ]);
});

test("reads a property list by its keys, and counts its lines", () => {
  const plist = "<dict>\n<key>YOUTRACK_TOKEN</key>\n\t<string>abcdefgh</string>\n<key>Label</key><string>acme</string>";
  expect(talksIn(flatPlist(plist))).toEqual([{ kind: "a token by the name of its variable", line: 3 }]);
});

test.each([
  ["SLACK_WEBHOOK_URL", true],
  ["JIRA_API_TOKEN", true],
  ["mattermost_hook", true],
  ["DEVELOPER_DIR", false],
  ["MATCH_PASSWORD", false],
  ["JIRA_PROJECT", false],
])("a variable named %s would hold such a token: %p", (name, would) => {
  expect(isTalkName(name)).toBe(would);
});

test("the scripts that come with the house speak to nobody", () => {
  const dir = join(import.meta.dir, "../../fixtures/scripts");
  const scripts = readdirSync(dir);
  expect(scripts.length).toBeGreaterThan(0);
  expect(scripts.flatMap((name) => talksIn(readFileSync(join(dir, name), "utf8")))).toEqual([]);
});
