import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "../../src/core/json.ts";
import { Folder } from "../config/folder.ts";
import { openMattermost } from "../fakes/mattermost.ts";
import { openPagerduty } from "../fakes/pagerduty.ts";
import { remote } from "../fakes/remote.ts";
import { openWebhook } from "../fakes/webhook.ts";

const main = join(import.meta.dir, "../../commands/main.ts");
const routingKey = "0123456789abcdef0123456789ABCDEF";

/** Sends a test in a process of its own, from a folder with these chats and pagers. */
async function tested(name: string, entries: JsonObject, secrets: Record<string, string>, ...more: string[]) {
  using folder = new Folder();
  const config = { store: "sqlite:./state/m.db", pool: "acme-ios", node: { id: "mac-07" }, ...entries };
  folder.write("meshmac.config.json", JSON.stringify(config));
  for (const [secret, text] of Object.entries(secrets)) folder.write(`secrets.d/${secret}`, `${text}\n`);
  const child = Bun.spawn([process.execPath, main, "notify", "--test", name, ...more], {
    cwd: folder.path,
    env: { PATH: process.env.PATH ?? "", HOME: folder.path },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  expect(existsSync(join(folder.path, "state"))).toBe(false);
  return { code, stdout, stderr };
}

const oncall = (base_url: string): JsonObject => ({
  pagers: { oncall: { kind: "pagerduty", key: "pagerduty/routing.key", base_url } },
});
const key = { "pagerduty/routing.key": routingKey };

describe("a test page", () => {
  test("opens an incident that says what it is, and resolves it at once", async () => {
    using pager = openPagerduty();
    const { code, stdout } = await tested("oncall", oncall(pager.base_url), key);
    expect([code, stdout]).toEqual([0, "oncall (pagerduty): status 202, sent\n"]);
    const [trigger, resolve] = pager.events;
    expect([trigger?.event_action, resolve?.event_action]).toEqual(["trigger", "resolve"]);
    expect(String(trigger?.dedup_key)).toStartWith("meshmac:acme-ios:test/");
    expect(resolve?.dedup_key).toBe(trigger?.dedup_key ?? "");
    expect(pager.incidents).toMatchObject([{ status: "resolved", payload: { severity: "info", source: "mac-07" } }]);
    expect(JSON.stringify(trigger)).toContain("meshmac test page");
    expect([pager.dropped, pager.faults]).toEqual([[], []]);
  });

  test("opens and resolves at a webhook, signed, as two messages", async () => {
    using hook = openWebhook();
    const entry = { kind: "webhook", url: "hooks/page.url", key: "hooks/page.key" };
    const secrets = { "hooks/page.url": hook.url, "hooks/page.key": hook.key };
    const { stdout } = await tested("audit", { pagers: { audit: entry } }, secrets, "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      pager: "audit",
      kind: "webhook",
      sent: true,
      status: 200,
      resolved: true,
    });
    expect(hook.posts.map(({ type }) => type)).toEqual(["alert.opened", "alert.resolved"]);
    expect([hook.repeats, hook.faults]).toEqual([0, []]);
  });

  test.each([[[]], [["--plain"]]])("is a message and its end where a chat is the pager (%p)", async (flags) => {
    using chat = openMattermost();
    const chats = { phone: { kind: "mattermost", url: "phone/hook.url", states: [] } };
    const entries = { chats, pagers: { wake: { kind: "chat", chat: "phone" } } };
    expect((await tested("wake", entries, { "phone/hook.url": chat.url }, ...flags)).code).toBe(0);
    const said = chat.posts.map((post) => JSON.stringify(post));
    expect(said[0]).toContain("meshmac test page");
    expect(said[1]).toContain("resolved: meshmac test page");
    expect(chat.posts.map((post) => "attachments" in post)).toEqual(Array(2).fill(flags.length === 0));
    expect(chat.faults).toEqual([]);
  });

  test.each([
    [403, 1, "status 403, dead", "did not take the test page", "the pager does not know this address"],
    [503, 1, "status 503, retry", "did not take the test page", "try again"],
  ])("that is refused with %i ends with 69, and names no secret", async (status, asked, said, message, hint) => {
    using refusing = remote({ status, body: `no ${routingKey}` });
    const { code, stdout, stderr } = await tested("oncall", oncall(refusing.url), key);
    expect([code, refusing.requests.length]).toEqual([69, asked]);
    expect(stdout).toContain(said);
    expect(stderr).toContain(message);
    expect(stderr).toContain(hint);
    expect(stdout + stderr).not.toContain(routingKey);
  });

  test("whose end is not taken is left to be closed by hand, and says so", async () => {
    using pager = openPagerduty({ script: ["normal", 503] });
    const { code, stdout, stderr } = await tested("oncall", oncall(pager.base_url), key);
    expect(code).toBe(69);
    expect(stdout).toContain("its end was not taken: status 503");
    expect(stderr).toContain("close it by hand");
  });
});

const both = (url: string): JsonObject => ({
  chats: { oncall: { kind: "mattermost", url: "chat/hook.url" } },
  ...oncall(url),
});

describe("the name of what is tested", () => {
  test("is refused where a chat and a pager have it, unless it says which", async () => {
    using pager = openPagerduty();
    using chat = openMattermost();
    const secrets = { ...key, "chat/hook.url": chat.url };
    const { code, stderr } = await tested("oncall", both(pager.base_url), secrets);
    expect(code).toBe(64);
    expect(stderr).toContain("say --test chat:oncall or --test pager:oncall");
    expect([pager.requests.length, chat.requests.length]).toEqual([0, 0]);
    expect((await tested("chat:oncall", both(pager.base_url), secrets)).code).toBe(0);
    expect([pager.requests.length, chat.posts.length]).toEqual([0, 1]);
    expect((await tested("pager:oncall", both(pager.base_url), secrets)).code).toBe(0);
    expect([pager.requests.length, chat.posts.length]).toEqual([2, 1]);
  });

  test.each([
    ["oncal", "did you mean oncall?"],
    ["pager:nobody", 'unknown pager "nobody"'],
    ["chat:nobody", 'unknown chat "nobody"'],
  ])("%s is unknown", async (name, said) => {
    const { code, stderr } = await tested(name, both("http://127.0.0.1:9"), {});
    expect(code).toBe(64);
    expect(stderr).toContain(said);
  });

  test("takes no --plain where there is one layout", async () => {
    using pager = openPagerduty();
    const { code, stderr } = await tested("oncall", oncall(pager.base_url), key, "--plain");
    expect(code).toBe(64);
    expect(stderr).toContain("a pagerduty pager has one layout");
    expect(pager.requests).toEqual([]);
  });
});
