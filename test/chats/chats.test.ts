import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { chats } from "../../src/chats/registry.ts";
import type { Chat } from "../../src/chats/chat.ts";
import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";
import { type Announcement, runStates } from "../../src/core/records.ts";
import { lengthIn } from "../../src/core/text.ts";
import { mentionsIn } from "../fakes/mattermost.ts";

// The only chat test file: every chat of the registry keeps the same promises, shown by its own fixtures.

interface Fixture {
  about: string;
  announcement: Announcement;
  options: JsonObject;
  post: Json;
}

const fixtures = (kind: string): Fixture[] => {
  const folder = join(import.meta.dir, "../../fixtures/chats", kind);
  return readdirSync(folder).map((file) => JSON.parse(readFileSync(join(folder, file), "utf8")) as Fixture);
};

/** What the house adds; the texts are invented, their shapes are not. */
const given = { key: "5e".repeat(32), subject: "0193f0a2-7c11-7abc-8def-1234567890ab" };

const options = (chat: Chat) => chat.options.parse(fixtures(chat.kind)[0]?.options);
/** The post as it would travel, secrets shown by name. */
const rendered = (post: unknown) => JSON.parse(JSON.stringify(post)) as JsonObject;
const bodyOf = (post: unknown): JsonObject => {
  const { body } = rendered(post);
  return isObject(body) ? body : {};
};
const texts = (value: Json): string[] =>
  typeof value === "string" ? [value] : typeof value === "object" && value ? Object.values(value).flatMap(texts) : [];
const everyStatus = Array.from({ length: 500 }, (_, at) => at + 100);
const reply = (status: number, text: string) => ({ status, headers: new Headers(), text });

const spells = [
  "<!channel> <!here> <@U123> @channel @all @here @everyone @rene <a|b> | < >".split(" "),
  "[x](javascript:alert(1)) https://evil.example www.evil.example ` ``` ** _ \\ é 𝒳 &lt;".split(" "),
  ["\n", "\u202E", "\u0000", "\uD83D", "@\u200B", "\r\n# h", "| a |", " "],
].flat();

const hostile = fc.oneof(
  fc.string({ unit: "binary", maxLength: 400 }),
  fc.array(fc.constantFrom(...spells), { maxLength: 30 }).map((parts) => parts.join("")),
  fc.string({ maxLength: 8 }).map((text) => `@all <!here> ${text}`.repeat(1200)),
);

/** What an announcement of strangers' texts may hold at worst, before any of our own cleaning. */
const announcements: fc.Arbitrary<Announcement> = fc
  .record({
    state: fc.constantFrom(...runStates),
    workflow: hostile,
    branch: hostile,
    commit: fc.option(hostile),
    run_url: fc.option(hostile),
    issue_url: fc.option(hostile),
    mesh_node_id: fc.option(hostile),
    issue_key: fc.option(hostile),
    summary: fc.option(hostile),
    failing_target: fc.option(hostile),
    reason: fc.option(hostile),
    attempt: fc.option(fc.nat(9)),
    log_tail: fc.array(hostile, { maxLength: 3 }),
  })
  .map((strange) => ({
    ...strange,
    source: "jira",
    issue_id: null,
    requested_by: null,
    lane: null,
    provider_run_id: "0193f0a2-7c11-7abc-8def-1234567890ab",
    idempotency_key: null,
    duration_ms: null,
    at: 0,
  }));

describe.each(chats.map((chat) => [chat.kind, chat] as const))("%s", (kind, chat) => {
  test("has a fixture for every state", () => {
    const states = new Set(fixtures(kind).map(({ announcement }) => announcement.state));
    expect(runStates.filter((state) => !states.has(state))).toEqual([]);
  });

  test.each(fixtures(kind).map((fixture) => [fixture.about, fixture] as const))(
    "renders %s",
    (_about, { announcement, options: entry, post }) => {
      expect(rendered(chat.post(announcement, chat.options.parse(entry), given))).toEqual(post as JsonObject);
    },
  );

  test.each([false, true])("always says what must be said (plain: %p)", (plain) => {
    for (const { announcement, options: entry } of fixtures(kind)) {
      const { state, issue_key, workflow, branch, mesh_node_id, commit, run_url } = announcement;
      const said = texts(bodyOf(chat.post(announcement, chat.options.parse(entry), { ...given, plain }))).join("\n");
      expect(said).toContain(state);
      expect(said).toContain(issue_key ?? workflow);
      if (/^[\w./-]+$/.test(branch)) expect(said).toContain(branch);
      if (state !== "queued" && mesh_node_id) expect(said).toContain(mesh_node_id);
      if (commit) expect(said).toContain(commit.slice(0, 8));
      if (run_url?.startsWith("https://")) expect(said).toContain(run_url);
    }
  });

  test("judges every status, and takes none but 2xx for sent", () => {
    for (const status of everyStatus) {
      const { verdict } = chat.judge(reply(status, "ok"), given);
      expect(verdict).toBeOneOf(["sent", "retry", "degrade", "lost", "dead"]);
      // a terminal has no statuses
      if (verdict === "sent" && kind !== "console") expect(Math.floor(status / 100)).toBe(2);
    }
  });

  test("keeps within its limits and well formed, whatever strangers write", () =>
    fc.assert(
      fc.property(announcements, fc.boolean(), (announcement, plain) => {
        for (const text of texts(bodyOf(chat.post(announcement, options(chat), { ...given, plain })))) {
          expect(lengthIn(chat.limits.unit, text)).toBeLessThanOrEqual(chat.limits.text);
          expect(text.isWellFormed()).toBe(true);
          expect(text).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/);
        }
      }),
    ));

  test("names no secret but by its name", () => {
    const post = JSON.stringify(chat.post(fixtures(kind)[0]?.announcement as Announcement, options(chat), given));
    expect(post).not.toMatch(/https?:\/\/[^"]*\/hooks\//);
  });
});

describe("mattermost", () => {
  const mattermost = chats.find(({ kind }) => kind === "mattermost") as Chat;
  const post = (announcement: Announcement, plain = false) =>
    bodyOf(mattermost.post(announcement, options(mattermost), { ...given, plain }));

  test("never lets a stranger's text mention anyone", () =>
    fc.assert(
      fc.property(announcements, fc.boolean(), (announcement, plain) => {
        expect(mentionsIn(post(announcement, plain))).toEqual([]);
      }),
      { numRuns: 300 },
    ));

  test("never lets a stranger's text make a link", () =>
    fc.assert(
      fc.property(announcements, fc.boolean(), (announcement, plain) => {
        const body = post({ ...announcement, run_url: null, issue_url: null }, plain);
        const [attachment] = Array.isArray(body.attachments) ? body.attachments : [body];
        const { title = "", text, title_link } = isObject(attachment) ? attachment : {};
        // what is escaped, or stands between backticks, is shown as it is
        const read = `${title}\n${text}`.replace(/\\.|`[^`]*`/gs, "");
        expect(read).not.toMatch(/\]\(|:\/\/|www\./);
        expect(read).not.toContain("`");
        expect(title_link).toBeUndefined();
      }),
    ));

  test.each([
    [200, "ok", "sent"],
    [200, "ok\n", "sent"],
    [200, "<!doctype html><title>Sign in</title>", "dead"],
    [200, "", "dead"],
    [204, "", "dead"],
    [302, "", "dead"],
    [400, "not json", "degrade"],
    [400, '{"id":"web.incoming_webhook.general.app_error","message":"… webhook abcdefgh"}', "degrade"],
    [400, '{"id":"web.incoming_webhook.invalid.app_error","message":"… webhook abcdefgh"}', "dead"],
    [401, "", "dead"],
    [403, "", "dead"],
    [404, "", "dead"],
    [413, "", "degrade"],
    [429, "", "retry"],
    [500, "", "retry"],
    [501, "", "dead"],
    [503, "", "retry"],
  ])("judges %i %j as %s, and repeats nothing of it but the error's own name", (status, text, verdict) => {
    const judged = mattermost.judge(reply(status, text), given);
    expect(judged.verdict).toBe(verdict as "sent");
    expect(JSON.stringify(judged)).not.toContain("abcdefgh");
  });
});
