import { afterEach, describe, expect, test } from "bun:test";
import type { JsonObject } from "../../src/core/json.ts";
import { examine } from "../../src/doctor/doctor.ts";
import { writeSecret } from "../../src/secrets.ts";
import { columns, type Far } from "../chats/columns.ts";
import { openJira, openYouTrack, type Tracker } from "../fakes/tracker.ts";
import { Ward } from "./ward.ts";

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

async function admitted(): Promise<Ward> {
  const ward = await Ward.open();
  open.push(() => ward.close());
  return ward;
}

/** What the doctor finds of one chat with these secrets. */
async function foundOf({ entry, texts }: Pick<Far, "entry" | "texts">): Promise<string[]> {
  const ward = await admitted();
  for (const [name, text] of Object.entries(texts)) writeSecret(ward.secretsDir, name, text);
  ward.change("chats", { builds: entry });
  return await ward.ids();
}

/** Chats that can be asked who we are without a post; of the others nothing is known before one. */
const asked = ["slack, bot", "mattermost, bot", "matrix", "telegram", "discord"];

describe("a chat", () => {
  test.each(columns.map((column) => [column.name, column] as const))(
    "%s: our credentials are taken, nothing is posted",
    async (_, column) => {
      const far = column.open();
      open.push(() => far[Symbol.dispose]());
      const known = asked.includes(column.name) || Object.keys(far.texts).length === 0;
      expect(await foundOf(far)).toEqual(known ? [] : ["chat-hook-unproven"]);
      expect(far.shown()).toEqual([]);
      expect(far.faults).toEqual([]);
      expect(far.requests.length).toBe(asked.includes(column.name) ? 1 : 0);
    },
  );

  test.each(columns.filter(({ name }) => asked.includes(name)).map((column) => [column.name, column] as const))(
    "%s: others are refused",
    async (_, column) => {
      const far = column.open();
      open.push(() => far[Symbol.dispose]());
      // The last characters changed: another token, another hook, of the right shape.
      const texts = Object.fromEntries(Object.entries(far.texts).map(([name, text]) => [name, changed(text)]));
      expect(await foundOf({ entry: far.entry, texts })).toEqual(["chat-credentials-refused"]);
    },
  );

  test.each(columns.filter(({ name }) => asked.includes(name)).map((column) => [column.name, column] as const))(
    "%s: a service that is ill, or asks for patience, says nothing of credentials",
    async (_, column) => {
      const far = column.open([503]);
      const busy = column.open([429]);
      open.push(
        () => far[Symbol.dispose](),
        () => busy[Symbol.dispose](),
      );
      expect([await foundOf(far), await foundOf(busy)]).toEqual([[], []]);
    },
  );
});

const changed = (text: string): string =>
  text.slice(0, -4) + text.slice(-4).replace(/./g, (c) => (c === "0" ? "1" : "0"));

async function commented(tracker: Tracker, comment: JsonObject, kind = "jira"): Promise<string[]> {
  open.push(() => tracker.close());
  const ward = await admitted();
  ward.change("sources.jira", { kind, comment: { site: tracker.url, token: "jira/rest.token", ...comment } });
  const ids = await ward.ids();
  expect([tracker.comments, tracker.faults]).toEqual([[], []]);
  return ids;
}

describe("a tracker", () => {
  const cloud = { api: "cloud", email: "bot@acme.example" };
  const dataCenter = { api: "datacenter" };
  const page = { status: 200, headers: { "Content-Type": "text/html" }, body: "<!DOCTYPE html>" };
  const scopes = { status: 401, body: '{"code":401,"message":"Unauthorized; scope does not match"}' };

  test("Jira Data Center: taken, too strong, refused", async () => {
    expect(await commented(openJira({ api: "datacenter" }), dataCenter)).toEqual([]);
    expect(await commented(openJira({ api: "datacenter", admin: true }), dataCenter)).toEqual([
      "jira-token-too-strong",
    ]);
    const refused = openJira({ api: "datacenter", authorization: "Bearer another" });
    expect(await commented(refused, dataCenter)).toEqual(["tracker-credentials-refused"]);
  });

  test("Jira Cloud: a login page in place of the API", async () => {
    expect(await commented(openJira({ script: [page, page] }), cloud)).toEqual(["jira-site-email-mismatch"]);
  });

  test("Jira Cloud: a token whose scopes do not reach the question is no fault", async () => {
    expect(await commented(openJira({ script: [scopes, scopes] }), cloud)).toEqual([]);
  });

  test("YouTrack: taken, with the least of rights", async () => {
    expect(await commented(openYouTrack(), {}, "youtrack")).toEqual([]);
  });

  test.each([429, 500, 503])("one that answers %i says nothing of credentials", async (status) => {
    expect(await commented(openJira({ script: [status, status] }), cloud)).toEqual([]);
    expect(await commented(openYouTrack({ script: [status, status] }), {}, "youtrack")).toEqual([]);
  });
});

test("a finding of credentials shows none", async () => {
  const ward = await admitted();
  const jira = openJira({ authorization: "Basic c29tZWJvZHk6ZWxzZQ==" });
  open.push(() => jira.close());
  ward.change("sources.jira.comment", { site: jira.url });
  const text = JSON.stringify((await examine(ward.scene())).findings);
  expect(text).toContain("jira-site-email-mismatch");
  expect(text).not.toContain(ward.scene().vault.read("jira/rest.token"));
  expect(text).not.toContain(jira.url);
});
