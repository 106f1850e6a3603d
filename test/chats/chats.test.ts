import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { chats } from "../../src/chats/registry.ts";
import type { Chat, Given } from "../../src/chats/chat.ts";
import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";
import { type Announcement, runStates } from "../../src/core/records.ts";
import { lengthIn } from "../../src/core/text.ts";
import { announcements } from "./strangers.ts";

// The only chat test file: every chat of the registry keeps the same promises, shown by its own fixtures.

interface Fixture {
  about: string;
  announcement: Announcement;
  options: JsonObject;
  given?: Partial<Given>;
  post: Json;
}

const fixtures = (kind: string): Fixture[] => {
  const folder = join(import.meta.dir, "../../fixtures/chats", kind);
  return readdirSync(folder).map((file) => JSON.parse(readFileSync(join(folder, file), "utf8")) as Fixture);
};

/** What the house adds; the texts are invented, their shapes are not. */
const given = { key: "5e".repeat(32), subject: "0193f0a2-7c11-7abc-8def-1234567890ab" };

/** Every way in which the fixtures configure this chat, the plainest first. */
const entries = (chat: Chat) =>
  [...new Set(fixtures(chat.kind).map(({ options }) => JSON.stringify(options)))]
    .toSorted((a, b) => a.length - b.length)
    .map((entry) => chat.options.parse(JSON.parse(entry)));
const options = (chat: Chat) => entries(chat)[0] ?? chat.options.parse({ kind: chat.kind });
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

describe.each(chats.map((chat) => [chat.kind, chat] as const))("%s", (kind, chat) => {
  test("has a fixture for every state", () => {
    const states = new Set(fixtures(kind).map(({ announcement }) => announcement.state));
    expect(runStates.filter((state) => !states.has(state))).toEqual([]);
  });

  test.each(fixtures(kind).map((fixture) => [fixture.about, fixture] as const))(
    "renders %s",
    (_about, { announcement, options: entry, given: more, post }) => {
      const described = chat.post(announcement, chat.options.parse(entry), { ...given, ...more });
      expect(rendered(described)).toEqual(post as JsonObject);
    },
  );

  test.each([false, true])("always says what must be said (plain: %p)", (plain) => {
    for (const { announcement, options: entry, given: more } of fixtures(kind)) {
      const { state, issue_key, workflow, branch, mesh_node_id, commit, run_url } = announcement;
      const said = texts(bodyOf(chat.post(announcement, chat.options.parse(entry), { ...given, ...more, plain }))).join(
        "\n",
      );
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
      fc.property(announcements, fc.boolean(), fc.constantFrom(...entries(chat)), (announcement, plain, entry) => {
        const body = bodyOf(chat.post(announcement, entry, { ...given, plain }));
        expect(lengthIn("bytes", JSON.stringify(body))).toBeLessThanOrEqual(chat.limits.body ?? Infinity);
        for (const text of texts(body)) {
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
