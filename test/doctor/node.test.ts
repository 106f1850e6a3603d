import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "../../src/core/error.ts";
import { examine } from "../../src/doctor/doctor.ts";
import { type Machine, thisMachine } from "../../src/doctor/machine.ts";
import { mend } from "../../src/doctor/mend.ts";
import { roleOf } from "../../src/doctor/scene.ts";
import { writeSecret } from "../../src/secrets.ts";
import type { Answers } from "./machine.ts";
import { asks, onMac, onNode, script } from "./node.ts";
import { Ward } from "./ward.ts";

const wards: Ward[] = [];
afterAll(() => Promise.all(wards.map((ward) => ward.close())));

async function admitted(): Promise<Ward> {
  const opened = await Ward.open();
  wards.push(opened);
  return opened;
}

async function found(ward: Ward): Promise<string[]> {
  const { findings, unchecked } = await examine(ward.scene());
  return [
    ...findings.map(({ id, about, says }) => `${id} ${about}: ${says}`),
    ...unchecked.map(({ check, why }) => `not checked ${check}: ${why}`),
  ];
}

test("finds nothing on a node where nothing is wrong, on Linux and on a Mac", async () => {
  const ward = await admitted();
  onNode(ward, { labels: ["xcode-16", "macos-26"] });
  await asks(ward, "mac-07");
  expect(await ward.ids()).toEqual([]);
  onMac(ward);
  expect(await ward.ids()).toEqual([]);
});

const nobody = "/usr/bin/stat -f %Su /dev/console";
const noSession = { "/bin/launchctl print gui/501": { status: 113 } };
const lockedKeychain = { "/usr/bin/security show-keychain-info": { status: 36 } };
const awayPool = { knock: async (address: string) => ({ address, connects: false }) };

interface Case {
  about: string;
  answers?: Answers;
  over?: Partial<Machine>;
  labels?: string[];
  store?: string;
  env?: Record<string, string>;
  reads: (string | RegExp)[];
}

const macs: Case[] = [
  {
    about: "only the command line tools",
    labels: ["xcode-16", "macos-26"],
    answers: { "/usr/bin/xcodebuild -version": { status: 1 }, "/bin/ls /Applications": { out: "Safari.app\n" } },
    reads: ["node-label-untrue xcode-16: there is no Xcode here"],
  },
  {
    about: "a label that only begins alike",
    labels: ["xcode-1", "macos-2", "xcode-16.2"],
    reads: ["node-label-untrue xcode-1: Xcode here is 16.2, 15.4", "node-label-untrue macos-2: macOS here is 26.1"],
  },
  {
    about: "somebody else at the screen",
    answers: { ...noSession, [nobody]: { out: "ada\n" } },
    reads: [/another one is$/],
  },
  { about: "nobody at the screen", answers: { ...noSession, [nobody]: { out: "root\n" } }, reads: [/nobody is$/] },
  {
    about: "a keychain seen over ssh",
    answers: lockedKeychain,
    env: { SSH_CONNECTION: "192.0.2.1 1 192.0.2.2 22" },
    reads: [/ssh session/],
  },
  {
    about: "a standby that no sleep begins",
    answers: { "/usr/bin/pmset -g": { out: " standby 1\n sleep 0\n" } },
    reads: [],
  },
  {
    about: "a pool that is away for everybody",
    store: "redis://10.0.0.5:6379/0",
    answers: { "/usr/bin/nc -z -G 3 10.0.0.5 6379": { status: 1 } },
    over: awayPool,
    reads: [],
  },
  { about: "a pool on a public address", store: "redis://192.0.2.5:6379/0", over: awayPool, reads: [] },
];

test.each(macs)("on a Mac: $about", async ({ answers, over, labels = [], store, env, reads }) => {
  const ward = await admitted();
  onNode(ward, { labels });
  if (store !== undefined) ward.raw.store = store;
  onMac(ward, answers, over);
  ward.over = { ...ward.over, ...(env && { env }) };
  const seen = await found(ward);
  expect(seen).toHaveLength(reads.length);
  for (const [i, line] of reads.entries()) expect(seen[i]).toMatch(line);
});

test("a program that is not there is told as not checked, and stops no other check", async () => {
  const ward = await admitted();
  onNode(ward);
  onMac(ward, { "/usr/bin/security show-keychain-info": { status: 50 } }, { run: absent });
  const { findings, unchecked } = await examine(ward.scene());
  expect(findings).toEqual([]);
  expect(unchecked.map(({ check, why }) => `${check}: ${why}`)).toEqual([
    "sleep: /usr/bin/pmset is not here",
    "login session: /bin/launchctl is not here",
    "keychain: /usr/bin/security is not here",
  ]);
});

const absent = (program: string) => Promise.reject(new MeshError("unavailable", `${program} is not here`));

describe("a node's scripts", () => {
  test("what is not executable or others can write is mended, both at once", async () => {
    const ward = await admitted();
    onNode(ward);
    const path = script(ward, "test.sh", "", 0o646);
    const { findings } = await examine(ward.scene());
    expect(findings.map(({ id }) => id)).toEqual(["node-script-writable", "node-script-missing"]);
    await mend(findings, join(ward.dir, "doctor", "1"));
    expect(statSync(path).mode & 0o777).toBe(0o755);
    expect(await ward.ids()).toEqual([]);
  });

  test("a folder that others can write is not mended: nothing would be kept of it", async () => {
    const ward = await admitted();
    onNode(ward);
    chmodSync(join(ward.dir, "scripts"), 0o757);
    const { findings } = await examine(ward.scene());
    expect(findings).toMatchObject([{ id: "node-script-writable", about: join(ward.dir, "scripts") }]);
    expect(findings[0]?.mend).toBeUndefined();
  });

  test("on a Mac the group counts as others", async () => {
    const ward = await admitted();
    onNode(ward);
    script(ward, "test.sh", "", 0o775);
    expect(await ward.ids()).toEqual([]);
    onMac(ward);
    expect(await ward.ids()).toEqual(["node-script-writable"]);
  });

  test("a script by its first line counts, a page beside them does not", async () => {
    const ward = await admitted();
    onNode(ward);
    writeFileSync(join(ward.dir, "scripts/README.md"), "how we build\n");
    expect(await ward.ids()).toEqual([]);
    script(ward, "archive", "", 0o644);
    script(ward, "Upper.sh");
    expect((await found(ward)).toSorted()).toEqual([
      `node-script-missing ${join(ward.dir, "scripts/Upper.sh")}: the worker does not run it as it stands`,
      `node-script-missing ${join(ward.dir, "scripts/archive")}: it is not executable`,
    ]);
  });
});

describe("talk to chats", () => {
  const token = `xoxb-${"a1".repeat(12)}`;

  test("is found in scripts, LaunchAgents, secrets, the environment and pass_env, and shown nowhere", async () => {
    const ward = await admitted();
    onNode(ward, { pass_env: ["DEVELOPER_DIR", "JIRA_API_TOKEN"] });
    const path = script(ward, "lib.d", `say() { curl -H "Bearer ${token}" "$1"; }\n`);
    const agents = join(ward.dir, "Library/LaunchAgents");
    mkdirSync(agents, { recursive: true });
    writeFileSync(join(agents, "acme.plist"), `<key>A</key>\n<string>${token}</string>`);
    writeSecret(join(ward.dir, "node.d"), "mattermost/builds.token", "a1".repeat(13));
    ward.over = { env: { SLACK: token, PATH: "/usr/bin" } };
    const seen = await examine(ward.scene(), { only: ["node-talks-to-chat"] });
    expect(seen.findings.map(({ id, about }) => `${id} ${about}`)).toEqual([
      `node-talks-to-chat ${join(ward.dir, "node.d/mattermost/builds.token")}`,
      "node-talks-to-chat node.pass_env",
      "node-talks-to-chat the environment: SLACK",
      `node-talks-to-chat ${path}:2`,
      `node-talks-to-chat ${join(agents, "acme.plist")}:2`,
    ]);
    expect(JSON.stringify(seen)).not.toContain("a1a1");
  });

  test("a node's file that names a chat is a node's, and is told so; its own token is not", async () => {
    const ward = await admitted();
    onNode(ward);
    ward.raw.chats = { builds: { kind: "mattermost", url: "mattermost/builds.url" } };
    overHttps(ward, "https://127.0.0.1:1");
    writeSecret(join(ward.dir, "node.d"), "nodes/mac-07.token", "a1".repeat(32));
    const { findings } = await examine(ward.scene(), { only: ["node-talks-to-chat"] });
    expect(findings.map(({ about }) => about)).toEqual(["chats.builds"]);
  });

  test("a gateway that builds, too, has its chats and its secrets", async () => {
    const ward = await admitted();
    script(ward, "build-ios.sh");
    ward.role = { gateway: true, node: true };
    expect(await ward.ids()).toEqual([]);
  });
});

test.each([
  [["node", "chats"], { gateway: false, node: true }],
  [["node", "chats", "sources"], { gateway: true, node: true }],
  [["node", "gateway", "pagers"], { gateway: true, node: true }],
  [["chats"], { gateway: true, node: false }],
  [["pool", "store"], { gateway: false, node: true }],
])("a file with %j is one of %j", (sections, role) => {
  expect(roleOf(Object.fromEntries(sections.map((name) => [name, {}])))).toEqual(role);
});

describe("nodes of the pool", () => {
  test("are compared on a gateway, too; one that was not seen for a day is not", async () => {
    const ward = await admitted();
    await asks(ward, "mac-06", { version: "0.0.8", script_hashes: { "build-ios": "5f".repeat(32) } });
    ward.ahead = 25 * 3_600_000;
    await ward.beat();
    await asks(ward, "mac-07", { script_hashes: { "build-ios": "1f".repeat(32) } });
    expect(await ward.ids()).toEqual([]);
    await asks(ward, "mac-08", { version: "0.0.9", script_hashes: { "build-ios": "3d".repeat(32) } });
    expect(await found(ward)).toEqual([
      "node-version-skew mac-08: its worker is meshmac 0.0.9, the gateways run 0.1.0",
      "node-script-differs build-ios: it is 1f1f1f1f on mac-07; 3d3d3d3d on mac-08",
    ]);
  });

  test("go by what most of them run where no gateway lives", async () => {
    const ward = await admitted();
    onNode(ward);
    ward.ahead = 120_000;
    for (const [node, version] of [
      ["mac-07", "0.1.0"],
      ["mac-08", "0.0.9"],
      ["mac-09", "0.1.0"],
    ] as const)
      await asks(ward, node, { version });
    expect(await found(ward)).toEqual(["node-version-skew mac-08: its worker is meshmac 0.0.9, most nodes run 0.1.0"]);
  });

  test("that say nonsense of their scripts are not believed", async () => {
    const ward = await admitted();
    await asks(ward, "mac-07", { script_hashes: { "build-ios": 7 } });
    await asks(ward, "mac-08", { script_hashes: "none" });
    expect(await ward.ids()).toEqual([]);
  });
});

test("a node over HTTPS compares its clock with the gateway's Date, and asks its pool nothing else", async () => {
  const ward = await admitted();
  using gateway = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response(null, { status: 404 }) });
  onNode(ward);
  overHttps(ward, gateway.url.origin);
  const only = ["node-clock-skew", "node-script-differs", "node-version-skew"];
  const about = async (now: () => number) => {
    ward.over = { store: noStore, now };
    const { findings, unchecked } = await examine(ward.scene(), { only });
    return [...findings.map(({ says }) => says), ...unchecked];
  };
  expect(await about(() => Date.now())).toEqual([]);
  expect(await about(() => Date.now() - 3_600_000)).toEqual([
    expect.stringMatching(/^this clock is .+ behind the store's$/),
  ]);
  expect(await about(() => Date.now() + 60_000)).toEqual([expect.stringMatching(/ ahead of the store's$/)]);
});

const noStore = () => Promise.reject(new Error("there is no store here"));

function overHttps(ward: Ward, connect: string): void {
  delete ward.raw.store;
  ward.raw.node = { id: "mac-07", connect, token: "nodes/mac-07.token" };
}

test("this machine answers what a check asks of it", async () => {
  const machine = thisMachine();
  using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  expect(await machine.knock("127.0.0.1", server.port ?? 0)).toMatchObject({ connects: true });
  expect((await machine.room("/")).bytes_free).toBeGreaterThan(0);
  expect(await machine.run("/bin/sh", "-c", "echo $LC_ALL; echo no >&2; exit 3")).toEqual({
    status: 3,
    out: "C\n",
    err: "no",
  });
  await expect(machine.run("/nowhere/pmset")).rejects.toThrow("/nowhere/pmset cannot be run on this machine");
});
