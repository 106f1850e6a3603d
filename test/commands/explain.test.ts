import { expect, setDefaultTimeout, test } from "bun:test";
import { createHmac } from "node:crypto";
import { join } from "node:path";
import { Folder } from "../config/folder.ts";
import { eventually, openGatehouse, wanted } from "../gateway/gatehouse.ts";

setDefaultTimeout(60_000); // every explanation is a process of its own

const main = join(import.meta.dir, "../../commands/main.ts");
const token = "jira-inbound-0123456789abcdef0123456789";

/** Runs meshmac in a process of its own. */
async function explain(folder: Folder, ...args: string[]) {
  const child = Bun.spawn([process.execPath, main, "explain", ...args], {
    cwd: folder.path,
    env: { PATH: process.env.PATH ?? "", HOME: folder.path },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  return { code, stdout, stderr };
}

function houseWith(body: unknown, more: object = {}): Folder {
  const folder = new Folder();
  const jira = {
    kind: "jira",
    path: "/jira/openclaw",
    token: "jira/inbound.token",
    build_when: [{ status: "Building", labels: "ci-build" }, { status: "Ready" }],
    task: { script: "build-ios", lane: "ios", repo: "app", params: { summary: { from: "fields.summary" } } },
    ...more,
  };
  const app = "git@git.example:acme/app.git";
  folder.write("meshmac.config.json", JSON.stringify({ repos: { app }, lanes: { ios: {} }, sources: { jira } }));
  folder.write("body.json", typeof body === "string" ? body : JSON.stringify(body));
  return folder;
}

test("says which entry holds, and what would be queued under which key", async () => {
  using folder = houseWith(wanted());
  const { code, stdout } = await explain(folder, "jira", "body.json");
  expect(code).toBe(0);
  expect(stdout).toContain("not looked at");
  expect(stdout).toMatch(/build_when 1 +holds/);
  expect(stdout).toMatch(/build_when 2 +does not hold.*\n +status is "Building", wanted "Ready"/);
  expect(stdout).toMatch(/key +jira:MOB-12:Building\+[0-9a-f]{8}:\d+/);
  expect(stdout).toMatch(/would queue +build-ios in lane ios, ref main, git@git\.example:acme\/app\.git/);
  expect(stdout).toMatch(/param summary +Ship MOB-12/);
});

test("says every clause that does not hold, and the reason that the door gives", async () => {
  const body = wanted("MOB-13", { status: { name: "Done" }, labels: [] });
  using folder = houseWith(body);
  const { code, stdout } = await explain(folder, "jira", "body.json", "--json");
  const { outcome, reason, clauses, task, verified } = JSON.parse(stdout);
  expect([code, outcome, task, verified]).toEqual([0, "ignored", null, null]);
  expect(clauses[0]).toMatchObject({ holds: false });
  expect(clauses[0].misses).toEqual(['status is "Done", wanted "Building"', 'labels is not set, wanted "ci-build"']);
  await using house = await openGatehouse({
    jira: { build_when: [{ status: "Building", labels: "ci-build" }, { status: "Ready" }] },
  });
  expect((await house.deliver(body)).body.reason).toBe(reason);
  const [note] = await eventually("the note", async () => {
    const notes = await house.store.deliveries(5, "ignored");
    return notes.length > 0 && notes;
  });
  expect(note?.reason).toBe(reason);
});

const draggedOut = wanted("MOB-12", { status: { name: "To Do" } });

test("says that a body takes back what is queued, where cancel_when matches and no build_when does", async () => {
  const cancel_when = [{ status: ["To Do", "Building"] }];
  using folder = houseWith(draggedOut, { cancel_when });
  const { code, stdout } = await explain(folder, "jira", "body.json");
  expect([code, stdout]).toEqual([
    0,
    expect.stringMatching(/outcome +ignored: cancel_when matched: ends what is queued of MOB-12/),
  ]);
  expect(stdout).toMatch(/build_when 2 +does not hold.*\n +status is "To Do", wanted "Ready"/);
  using building = houseWith(wanted(), { cancel_when });
  expect((await explain(building, "jira", "body.json")).stdout).toMatch(/outcome +queued\n/);
  using dry = houseWith(draggedOut, { cancel_when, dry_run: true });
  const { stdout: said } = await explain(dry, "jira", "body.json", "--json");
  expect(JSON.parse(said)).toMatchObject({
    outcome: "ignored",
    reason: "dry run: would cancel what is queued of MOB-12",
    calls_off: false,
  });
});

test("says how long a run would wait for a later move, and what would end it", async () => {
  using folder = houseWith(wanted(), { debounce: "3s" });
  const { stdout } = await explain(folder, "jira", "body.json");
  expect(stdout).toMatch(/would wait +3\.0 s for a later move of the issue, which takes its place/);
  folder.write("out.json", JSON.stringify(draggedOut));
  const out = await explain(folder, "jira", "out.json");
  expect(out.stdout).toMatch(/outcome +ignored: no build_when entry matched: status is "To Do"/);
  expect(out.stdout).toMatch(/would end +the run of this issue that still waits out its debounce/);
  const { debounce_ms, calls_off } = JSON.parse((await explain(folder, "jira", "body.json", "--json")).stdout);
  expect([debounce_ms, calls_off]).toEqual([3000, false]);
  using plain = houseWith(draggedOut);
  expect((await explain(plain, "jira", "body.json")).stdout).not.toContain("would");
});

test("verifies where headers are given: a token, a signature over the body, or neither", async () => {
  using folder = houseWith(wanted());
  folder.write("secrets.d/jira/inbound.token", `${token}\n`);
  const verified = async (header: string) => {
    const { stdout } = await explain(folder, "jira", "body.json", "--header", header, "--header", "X-Other: 1");
    return /verified +(.*)/.exec(stdout)?.[1];
  };
  const keyId = new Bun.CryptoHasher("sha256").update(token).digest("hex").slice(0, 8);
  const hmac = createHmac("sha256", token).update(JSON.stringify(wanted())).digest("hex");
  expect(await verified(`X-Meshmac-Jira-Token: ${token}`)).toBe(`yes, by key ${keyId}`);
  expect(await verified(`X-Hub-Signature: sha256=${hmac}`)).toBe(`yes, by key ${keyId}`);
  expect(await verified(`X-Meshmac-Jira-Token: ${token}0`)).toBe("no, it would be answered 401: wrong token");
  expect(await verified("X-Meshmac-Token: none")).toBe("no, it would be answered 401: no token");
});

test("says what is wrong with a body that cannot be read", async () => {
  using folder = houseWith('{"key": "MOB-12');
  const { code, stdout } = await explain(folder, "jira", "body.json");
  expect([code, stdout]).toEqual([0, expect.stringContaining("refused: not valid JSON")]);
  expect(stdout).toContain("asJsonString");
});

test("writes nothing that moves a terminal's cursor", async () => {
  using folder = houseWith(wanted("MOB-12", { status: { name: "Building\u001b[2J" } }));
  expect((await explain(folder, "jira", "body.json")).stdout).not.toContain("\u001b");
});

test.each([
  [["jria", "body.json"], 64, "did you mean jira?"],
  [["jira", "none.json"], 65, "cannot read"],
  [["jira", "/dev/zero"], 65, "is longer than 64 MiB"],
  [["jira", "body.json", "--header", "nonsense"], 64, "is not name: value"],
])("refuses %p", async (args, status, why) => {
  using folder = houseWith(wanted());
  const { code, stdout, stderr } = await explain(folder, ...args);
  expect([code, stdout]).toEqual([status, ""]);
  expect(stderr).toContain(why);
});
