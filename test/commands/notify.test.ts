import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "../../src/core/json.ts";
import { Folder } from "../config/folder.ts";
import { openMattermost } from "../fakes/mattermost.ts";
import type { Injection } from "../fakes/remote.ts";

const main = join(import.meta.dir, "../../commands/main.ts");
const said = ["--workflow", "nightly", "--state", "failed"];

/** A folder with a configuration of these chats; their hooks are written only where the test says so. */
function houseOf(chats: JsonObject, hooks: Record<string, string> = {}): Folder {
  const folder = new Folder();
  folder.write("meshmac.config.json", JSON.stringify({ store: "sqlite:./state/m.db", chats, node: { id: "mac-07" } }));
  for (const [name, url] of Object.entries(hooks)) folder.write(`secrets.d/${name}`, `${url}\n`);
  return folder;
}

const mattermostAt = (name: string, more: JsonObject = {}): JsonObject => ({
  [name]: { kind: "mattermost", url: `${name}/hook.url`, ...more },
});

/** Runs `meshmac notify` in a process of its own. */
async function notify(folder: Folder, ...args: string[]) {
  const child = Bun.spawn([process.execPath, main, "notify", ...args], {
    cwd: folder.path,
    env: { PATH: process.env.PATH ?? "", HOME: folder.path },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  return { code, stdout, stderr };
}

describe("what cannot be is refused with 64", () => {
  const refused: [string, string[], string][] = [
    ["no workflow", ["--state", "failed"], "--workflow is missing"],
    ["an empty workflow", ["--workflow= ", "--state", "failed"], "--workflow is missing"],
    ["no state", ["--workflow", "nightly"], "--state is missing"],
    ["a state that is none", ["--workflow", "nightly", "--state", "succeded"], "did you mean succeeded?"],
    ["a state of runs alone", ["--workflow", "nightly", "--state", "running"], "succeeded, failed, cancelled"],
    ["a chat that is not there", [...said, "--chat", "bulids"], "did you mean builds?"],
    ["a link that is none", [...said, "--run-url", "javascript:alert(1)"], "--run-url expects an http(s) URL"],
    ["a link with a password", [...said, "--run-url", "https://a:b@ci.example/1"], "--run-url expects"],
    ["an endless id", [...said, "--provider-run-id", "1".repeat(201)], "longer than 200"],
    ["--plain alone", [...said, "--plain"], "--plain goes with --test"],
    ["a test post with a state", ["--test", "builds", "--state", "failed"], "--test takes no --state"],
    ["a test post that is not sent", ["--test", "builds", "--dry-run"], "--test takes no --dry-run"],
    ["a test of a chat that is not there", ["--test", "bulids"], "did you mean builds?"],
    ["a flag that is none", [...said, "--workflw", "x"], "did you mean --workflow?"],
  ];
  test.each(refused)("%s", async (_, args, why) => {
    using house = houseOf(mattermostAt("builds"));
    const { code, stdout, stderr } = await notify(house, ...args);
    expect(stderr).toContain(why);
    expect([code, stdout]).toEqual([64, ""]);
    expect(existsSync(join(house.path, "state"))).toBe(false);
  });
});

describe("--dry-run", () => {
  test("shows what each chat would get, without its secret's file and without a trace", async () => {
    using house = houseOf({ ...mattermostAt("builds", { channel: "ios" }), terminal: { kind: "console" } });
    const { code, stdout, stderr } = await notify(house, ...said, "--branch", "main", "--dry-run");
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("builds (mattermost)\nPOST <secret builds/hook.url>\n");
    expect(stdout).toContain('  "channel": "ios"');
    expect(stdout).toContain("terminal (console) prints\n❌ nightly failed · main · on mac-07");
    expect(existsSync(join(house.path, "state"))).toBe(false);
  });

  test("leaks no secret, not even one that was typed", async () => {
    const hook = "https://chat.example/hooks/q7x8y9z1q7x8y9z1q7x8y9z1q7";
    const token = `glpat-${"Ab3".repeat(7)}`;
    using house = houseOf(mattermostAt("builds"), { "builds/hook.url": hook });
    const typed = [
      "--branch",
      hook,
      "--failing-target",
      `x ${token}`,
      "--run-url",
      `https://ci.example/?token=${token}`,
    ];
    for (const more of [[], ["--json"]]) {
      const { code, stdout, stderr } = await notify(house, ...said, ...typed, "--dry-run", ...more);
      expect(code).toBe(0);
      expect(stdout).toContain("<secret builds/hook.url>");
      expect(stdout + stderr).not.toContain("q7x8y9z1");
      expect(stdout + stderr).not.toContain(token);
    }
  });

  test("shows exactly what is sent then", async () => {
    using chat = openMattermost();
    using house = houseOf(mattermostAt("builds"), { "builds/hook.url": chat.url });
    const asked = [...said, "--branch", "main", "--commit", "0123456789abcdef", "--failing-target", "AppTests"];
    const { stdout } = await notify(house, ...asked, "--dry-run", "--json");
    expect(chat.requests).toEqual([]);
    expect((await notify(house, ...asked)).code).toBe(0);
    const [request] = (JSON.parse(stdout) as { requests: JsonObject[] }).requests;
    const [sent] = chat.requests;
    expect(request).toEqual({
      chat: "builds",
      kind: "mattermost",
      method: sent?.method ?? "",
      url: "<secret builds/hook.url>",
      headers: Object.fromEntries(
        ["user-agent", "accept", "content-type"].map((name) => [name, sent?.headers.get(name) ?? ""]),
      ),
      body: chat.posts[0] ?? null,
    });
  });

  test("is for the chat alone that is named, and says where none would hear", async () => {
    using house = houseOf({ ...mattermostAt("builds"), ...mattermostAt("quiet", { states: ["cancelled"] }) });
    expect((await notify(house, ...said, "--dry-run")).stdout).not.toContain("quiet");
    const alone = await notify(house, ...said, "--dry-run", "--chat", "quiet");
    expect(alone.stdout).toContain("quiet (mattermost)");
    expect(alone.stdout).not.toContain("builds");
    using other = houseOf(mattermostAt("quiet", { states: ["cancelled"] }));
    expect((await notify(other, ...said, "--dry-run")).stdout).toBe("no chat hears failed of notify\n");
    using named = houseOf(mattermostAt("reports", { sources: ["notify"] }));
    expect((await notify(named, ...said, "--dry-run")).stdout).toContain("reports (mattermost)");
    using node = houseOf({});
    expect((await notify(node, ...said, "--dry-run")).stdout).toContain("would be handed in");
  });
});

describe("--test", () => {
  const answers: [string, Injection[], boolean, number, string, string][] = [
    ["takes it", [], false, 0, "status 200, sent", ""],
    ["is down", [503], false, 69, "status 503, retry", "the gateway would try again"],
    ["refuses the hook", [], true, 69, "status 400, dead", "docs/chats.md"],
    ["forbids it", [403], false, 69, "status 403, dead", "make a new one there"],
    ["refuses the layout", [400], false, 69, "status 400, degrade", "--plain"],
    ["redirects", [{ redirect: "https://elsewhere.example/" }], false, 69, "dead", "the chat redirects to"],
    ["cuts the line", ["reset"], false, 69, "no answer", "can be reached from here"],
  ];
  test.each(answers)("says so where the chat %s", async (_, script, deleted, status, verdict, hint) => {
    using chat = openMattermost({ script, deleted });
    using house = houseOf(mattermostAt("builds"), { "builds/hook.url": chat.url });
    const { code, stdout, stderr } = await notify(house, "--test", "builds");
    expect(code).toBe(status);
    expect(stdout).toContain(`builds (mattermost): `);
    expect(stdout).toContain(verdict);
    expect(stderr).toContain(hint);
    expect(stdout + stderr).not.toContain(chat.url.split("/").at(-1) ?? "?");
    expect(chat.requests).toHaveLength(1);
    expect(chat.faults).toEqual([]);
  });

  test("sends a post that says what it is, in the layout that was asked for", async () => {
    using chat = openMattermost();
    using house = houseOf(mattermostAt("builds"), { "builds/hook.url": chat.url });
    await notify(house, "--test", "builds");
    const { stdout } = await notify(house, "--test", "builds", "--plain", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ chat: "builds", sent: true, verdict: "sent", status: 200 });
    const [rich, plain] = chat.posts;
    expect(rich).toHaveProperty("attachments");
    expect(plain).not.toHaveProperty("attachments");
    for (const post of [rich, plain]) expect(JSON.stringify(post)).toContain("meshmac test post");
    expect(existsSync(join(house.path, "state"))).toBe(false);
  });

  test("ends with 78 where the secret's file is missing, and with 77 where others can read it", async () => {
    using house = houseOf(mattermostAt("builds"));
    expect(await notify(house, "--test", "builds")).toMatchObject({ code: 78, stdout: "" });
    house.write("secrets.d/builds/hook.url", "https://chat.example/hooks/abc\n", 0o644);
    const { code, stderr } = await notify(house, "--test", "builds");
    expect(code).toBe(77);
    expect(stderr).toContain("chmod");
  });
});

test("with --json a terminal chat does not print between the data", async () => {
  using house = houseOf({ terminal: { kind: "console" } });
  const { code, stdout, stderr } = await notify(house, ...said, "--json");
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ outcome: "sent", sender: "here", state: "failed" });
  expect(stderr).toBe("❌ nightly failed · on mac-07\n");
  const again = await notify(house, ...said);
  expect(again.stdout).toBe("❌ nightly failed · on mac-07\ntold terminal\n");
});

test("a report that no chat hears is no failure", async () => {
  using house = houseOf({ terminal: { kind: "console", states: ["succeeded"] } });
  expect(await notify(house, ...said)).toEqual({ code: 0, stdout: "no chat hears failed of notify\n", stderr: "" });
});
