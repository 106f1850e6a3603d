import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, utimesSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "../../src/core/json.ts";
import { createToken } from "../../src/secrets.ts";
import { Folder } from "../config/folder.ts";

setDefaultTimeout(60_000);

const main = join(import.meta.dir, "../../commands/main.ts");
const token = createToken();
const day = 86_400_000;

const config: JsonObject = {
  store: "sqlite:./state/meshmac.db",
  sources: {
    jira: {
      kind: "jira",
      path: "/jira",
      token: "jira/inbound.token",
      build_when: [{ status: ["Building"] }],
      task: { script: "build-ios" },
      comment: { site: "https://acme.example", email: "bot@acme.example", token: "jira/rest.token" },
    },
  },
  rotation: { secrets: { "jira/inbound.token": { owner: "rene" }, "jira/rest.token": { owner: "kim" } } },
};

function houseOf(folder: Folder, more: JsonObject = {}): void {
  folder.write("secrets.d/jira/inbound.token", `${token}\n`);
  folder.write("secrets.d/jira/rest.token", "jira-rest-canary-0011223344\n");
  folder.write("meshmac.config.json", JSON.stringify({ ...config, ...more }));
}

async function rotate(folder: Folder, args: string[], stdin = "") {
  const child = Bun.spawn([process.execPath, main, "rotate", ...args], {
    cwd: folder.path,
    env: { PATH: process.env.PATH ?? "", HOME: folder.path },
    stdin: Buffer.from(stdin),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, err };
}

test.each([
  [["start"], "SECRET is missing"],
  [["start", "jira/inbound.token", "--all"], "--all goes without a secret"],
  [["start", "jira/inbound.token", "--owner", "rene"], "--owner goes with --all"],
  [["start", "--all", "--stdin"], "--all takes no --stdin"],
  [["start", "--all", "--owner", "nobody"], 'no secret belongs to "nobody"'],
  [["start", "jira/inbound.tokn"], 'no secret "jira/inbound.tokn"'],
  [["start", "jira/inbound.token", "--reason", "boredom"], "--reason expects one of"],
  [["commit"], "SECRET is missing"],
  [["commit", "jira/inbound.token"], "nothing is staged"],
  [["commit", "jira/inbound.token", "--quiet", "soon"], "--quiet expects a duration"],
  [["undo", "jira/inbound.token"], "no value before is kept"],
  [["retire", "jira/inbound.token"], "unknown command"],
])("%p is refused as usage", async (args, why) => {
  using folder = new Folder();
  houseOf(folder);
  const { code, err } = await rotate(folder, args);
  expect(err).toContain(why);
  expect(code).toBe(64);
});

test("another value than the staged one does not pass for a repeat", async () => {
  using folder = new Folder();
  houseOf(folder);
  const start = (value: string) => rotate(folder, ["start", "jira/rest.token", "--stdin"], `${value}\n`);
  expect((await start("jira-rest-canary-5566778899")).code).toBe(0);
  expect(await start("jira-rest-canary-5566778899")).toMatchObject({
    code: 0,
    out: expect.stringContaining("nothing was changed"),
  });
  const other = await start("jira-rest-canary-6677889900");
  expect([other.code, other.err]).toEqual([75, expect.stringContaining("another value of jira/rest.token is staged")]);
  expect(other.err).toContain("hint: meshmac rotate abort jira/rest.token");
});

test("no command ever prints a value", async () => {
  using folder = new Folder();
  houseOf(folder);
  let said = "";
  const say = async (args: string[], stdin?: string) => {
    const { out, err } = await rotate(folder, args, stdin);
    said += out + err;
  };
  await say(["start", "jira/inbound.token"]);
  const staged = readFileSync(join(folder.path, "secrets.d/jira/inbound.token.next"), "utf8").trim();
  await say(["start", "jira/rest.token", "--stdin"], "jira-rest-canary-5566778899\n");
  for (const args of [
    ["status"],
    ["status", "jira/inbound.token"],
    ["status", "--json"],
    ["due"],
    ["commit", "jira/inbound.token"],
  ])
    await say(args);
  await say(["commit", "jira/inbound.token", "--force"]);
  await say(["undo", "jira/inbound.token", "--json"]);
  await say(["abort", "jira/inbound.token"]);
  expect(said).toContain("jira/inbound.token");
  for (const value of [token, staged, "jira-rest-canary"]) expect(said).not.toContain(value);
});

test("due ends with 1 when something is overdue, and names who sees to it", async () => {
  using folder = new Folder();
  houseOf(folder);
  expect(await rotate(folder, ["due"])).toMatchObject({ code: 0, out: "nothing is due\n" });
  const long = new Date(Date.now() - 91 * day);
  utimesSync(join(folder.path, "secrets.d/jira/inbound.token"), long, long);
  const { code, out } = await rotate(folder, ["due"]);
  expect(code).toBe(1);
  expect(out).toMatch(/jira\/inbound\.token +overdue +91 d +90 d +rene/);
  const { out: json } = await rotate(folder, ["due", "--json"]);
  expect(JSON.parse(json)).toMatchObject({ due: [{ secret: "jira/inbound.token", why: ["overdue"] }] });
});

test("start --all stages what one person knew, and lists what the other side has to make", async () => {
  using folder = new Folder();
  houseOf(folder);
  const { code, out } = await rotate(folder, ["start", "--all", "--owner", "rene", "--reason", "staff"]);
  expect([code, out.split("\n")[0]]).toEqual([
    0,
    expect.stringMatching(/^1\. jira\/inbound\.token: staged [0-9a-f]{8}$/),
  ]);
  expect(out).not.toContain("rest.token");
  const all = await rotate(folder, ["start", "--all", "--reason", "incident", "--json"]);
  expect(JSON.parse(all.out)).toMatchObject({
    secrets: [
      { secret: "jira/inbound.token", fresh: false },
      { secret: "jira/rest.token", key_id: null, next: expect.stringContaining("revoke it on the other side") },
    ],
  });
  expect(existsSync(join(folder.path, "secrets.d/jira/rest.token.next"))).toBe(false);
});

test("a store that cannot be asked is no evidence, and keeps nobody from staging", async () => {
  using folder = new Folder();
  houseOf(folder, { store: "redis://127.0.0.1:1/0" });
  expect((await rotate(folder, ["start", "jira/inbound.token"])).code).toBe(0);
  const { code, err } = await rotate(folder, ["commit", "jira/inbound.token"]);
  expect(code).toBe(75);
  expect(err).toContain("the store cannot be asked who uses which value");
});

test("a calendar names secrets that there are", async () => {
  using folder = new Folder();
  houseOf(folder, { rotation: { secrets: { "jira/inbuond.token": { owner: "rene" } } } });
  const { code, err } = await rotate(folder, ["status"]);
  expect(code).toBe(78);
  expect(err).toContain('did you mean "jira/inbound.token"');
});

/** What `status --json` says of one secret. */
async function stands(folder: Folder, secret: string) {
  const { out } = await rotate(folder, ["status", secret, "--json"]);
  return JSON.parse(out).secrets[0];
}

test("what is staged already becomes an incident, with its value, and stays one", async () => {
  using folder = new Folder();
  houseOf(folder);
  await rotate(folder, ["start", "jira/inbound.token"]);
  const before = await stands(folder, "jira/inbound.token");
  expect(before).toMatchObject({ window_ms: day, next: { reason: "planned" } });

  const raised = await rotate(folder, ["start", "jira/inbound.token", "--reason", "incident"]);
  expect(raised.code).toBe(0);
  expect(raised.out).toContain("an incident now: the window is 0");
  expect(raised.out).toContain("does not wait until the old one is quiet");
  const after = await stands(folder, "jira/inbound.token");
  expect(after).toMatchObject({ window_ms: 0, window_over: true });
  expect(after.next).toMatchObject({ key_id: before.next.key_id, reason: "incident" });

  for (const reason of ["incident", "staff", "planned"]) {
    const again = await rotate(folder, ["start", "jira/inbound.token", "--reason", reason]);
    expect(again.out).toContain("staged already");
    expect(again.out).toContain("nothing was changed");
    expect((await stands(folder, "jira/inbound.token")).next).toMatchObject({ reason: "incident" });
  }
});

test("all that one person knew becomes an incident, staged or not, and a repeat says the same order", async () => {
  using folder = new Folder();
  houseOf(folder, { rotation: { owner: "rene" } });
  await rotate(folder, ["start", "jira/rest.token", "--stdin"], "jira-rest-canary-5566778899\n");
  const all = ["start", "--all", "--owner", "rene", "--reason"];
  await rotate(folder, [...all, "staff"]);
  expect((await stands(folder, "jira/inbound.token")).next.reason).toBe("staff");
  const first = await rotate(folder, [...all, "incident", "--json"]);
  const second = await rotate(folder, [...all, "incident", "--json"]);
  const secrets = (said: string): JsonObject[] => JSON.parse(said).secrets;
  expect(secrets(first.out)).toMatchObject([
    { secret: "jira/inbound.token", fresh: false, raised: true },
    { secret: "jira/rest.token", fresh: false, raised: true },
  ]);
  expect(secrets(second.out)).toEqual(secrets(first.out).map((one) => ({ ...one, raised: false })));
  for (const name of ["jira/inbound.token", "jira/rest.token"])
    expect(await stands(folder, name)).toMatchObject({ window_ms: 0, next: { reason: "incident" } });
});
