import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";
import { createToken } from "../../src/secrets.ts";
import { stage } from "../../src/secrets/shelf.ts";
import { agedBy } from "./broken.ts";
import { Ward } from "./ward.ts";

const wards: Ward[] = [];
afterEach(async () => void (await Promise.all(wards.splice(0).map((ward) => ward.close()))));

async function admitted(): Promise<Ward> {
  const ward = await Ward.open();
  wards.push(ward);
  return ward;
}

const jira = "jira/rest.token";
const inDays = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);

test.each<[string, number, string, string[]]>([
  ["younger than its calendar allows", 89, "90d", []],
  ["older than its calendar allows", 91, "90d", ["token-age"]],
  ["soon as old as one of Atlassian can be", 352, "400d", ["token-expires"]],
  ["both, which is said once", 352, "90d", ["token-expires"]],
  ["older than one of Atlassian can be, so that its file says nothing of it", 367, "400d", []],
])("a Jira token that is %s", async (_, days, every, ids) => {
  const ward = await admitted();
  ward.change("rotation.secrets", { [jira]: { every } });
  agedBy(ward, jira, days);
  expect(await ward.ids()).toEqual(ids);
});

test("a token of Data Center has no such end", async () => {
  const ward = await admitted();
  ward.change("sources.jira.comment", { api: "datacenter" });
  ward.change("rotation.secrets", { [jira]: { every: "400d" } });
  agedBy(ward, jira, 352);
  expect(await ward.ids()).not.toContain("token-expires");
});

test.each<[string, number, string[]]>([
  ["in a month", 31, []],
  ["in two weeks", 13, ["token-expires"]],
  ["in the past", -3, ["token-expires"]],
])("a day of expiry %s that somebody wrote down", async (_, days, ids) => {
  const ward = await admitted();
  ward.change("rotation.secrets", { "mattermost/builds.url": { expires: inDays(days) } });
  expect(await ward.ids()).toEqual(ids);
});

test("who has begun a rotation is not told to begin one", async () => {
  const ward = await admitted();
  agedBy(ward, jira, 91);
  const shelf = { name: jira, files: [join(ward.secretsDir, jira)], top: ward.secretsDir };
  stage(shelf, [createToken()], { at: Date.now(), reason: "planned" });
  expect(await ward.ids()).toEqual([]);
});
