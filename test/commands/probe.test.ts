import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { embedded } from "../../fixtures/embedded.ts";
import { Folder } from "../config/folder.ts";
import { openMattermost } from "../fakes/mattermost.ts";
import { openGatehouse, tokens } from "../gateway/gatehouse.ts";

const root = join(import.meta.dir, "../..");

/** Runs meshmac in a process of its own. */
async function meshmac(cwd: string, ...args: string[]) {
  const child = Bun.spawn([process.execPath, join(root, "commands/main.ts"), ...args], {
    cwd,
    env: { PATH: process.env.PATH ?? "", HOME: cwd },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [code, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  return { code, stdout, stderr };
}

interface Answers {
  ok: boolean;
  results: { source: string; name: string; suite: string; ok: boolean; look: string | null; got: { status: number } }[];
}

const answersIn = (stdout: string): Answers => JSON.parse(stdout);

const task = { script: "build-ios", lane: "ios", repo: "app" };

/** The configuration that a gatehouse runs with, as a user would have it in a file. */
function fileFor(dir: string, jira: object = {}): Folder {
  const folder = new Folder();
  folder.write(
    "meshmac.config.json",
    JSON.stringify({
      secrets_dir: join(dir, "secrets.d"),
      repos: { app: "git@git.example:acme/app.git" },
      lanes: { ios: {} },
      sources: {
        jira: {
          kind: "jira",
          path: "/jira/openclaw",
          token: "jira/inbound.token",
          build_when: [{ status: "Building", labels: "ci-build" }],
          task,
          ...jira,
        },
        youtrack: {
          kind: "youtrack",
          path: "/youtrack/webhook",
          token: "youtrack/inbound.token",
          build_when: [{ event: "issueUpdated", changed: { Stage: "Building" } }],
          task,
        },
      },
    }),
  );
  return folder;
}

test("every recorded exchange is embedded", async () => {
  const files = [...new Bun.Glob("*/*.json").scanSync(join(root, "fixtures/sources"))].toSorted();
  expect(Object.keys(embedded).map((name) => `${name}.json`)).toEqual(files);
});

describe("probe --self", () => {
  test("asks every kind and replays every recorded exchange, and writes JUnit", async () => {
    using folder = new Folder();
    const { code, stdout } = await meshmac(folder.path, "probe", "--self", "--json", "--junit", "probe.xml");
    const { ok, results } = answersIn(stdout);
    expect(results.filter((one) => !one.ok)).toEqual([]);
    expect([code, ok]).toEqual([0, true]);
    expect(results.filter(({ suite }) => suite === "recorded")).toHaveLength(Object.keys(embedded).length);
    expect(results.filter(({ suite }) => suite === "smoke")).toHaveLength(6 * 9);
    const junit = await Bun.file(join(folder.path, "probe.xml")).text();
    expect(junit).toStartWith('<?xml version="1.0"');
    expect(junit.match(/<testcase /g)).toHaveLength(results.length);
    expect(junit).toContain('failures="0"');
  });

  test("asks one kind alone, with bad intentions", async () => {
    using folder = new Folder();
    const args = ["probe", "--self", "--suite", "security", "--source", "youtrack", "--json"];
    const { code, stdout } = await meshmac(folder.path, ...args);
    const { results } = answersIn(stdout);
    expect(results.filter((one) => !one.ok)).toEqual([]);
    expect(code).toBe(0);
    expect(results.map(({ name }) => name)).toContain("a body that does not come");
  }, 60_000);
});

describe("probe --url", () => {
  test("asks the doors of a running gateway, and leaves no run", async () => {
    await using house = await openGatehouse();
    using folder = fileFor(house.dir);
    const { code, stdout } = await meshmac(folder.path, "probe", "--url", house.server.publicUrl);
    expect(stdout).toContain("18 as expected, 0 not");
    expect(code).toBe(0);
    expect((await house.store.list({ limit: 5 })).runs).toEqual([]);
    expect((await house.store.deliveries(5, "ignored")).length).toBe(0);
  });

  test("says what differs and what to look at", async () => {
    await using house = await openGatehouse();
    using folder = fileFor(house.dir, { header: "X-Other-Token" });
    const args = ["probe", "--url", house.server.publicUrl, "--source", "jira", "--junit", "probe.xml"];
    const { code, stdout } = await meshmac(folder.path, ...args);
    expect(code).toBe(1);
    expect(stdout).toContain("jira: accepts (smoke)");
    expect(stdout).toContain("expected 200 queued");
    expect(stdout).toContain("compare the header's name");
    expect(stdout).not.toContain(tokens.jira);
    expect(await Bun.file(join(folder.path, "probe.xml")).text()).toContain("<failure ");
  });

  test("tells another build_when from what runs", async () => {
    await using house = await openGatehouse();
    using folder = fileFor(house.dir, { build_when: [{ status: "Shipping" }] });
    const { code, stdout } = await meshmac(folder.path, "probe", "--url", house.server.publicUrl, "--source", "jira");
    expect(code).toBe(1);
    expect(stdout).toContain("another build_when");
  });

  test("tells an edge's refusal from the gateway's", async () => {
    using edge = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("denied", { status: 403 }) });
    await using house = await openGatehouse();
    using folder = fileFor(house.dir);
    const { code, stdout } = await meshmac(folder.path, "probe", "--url", edge.url.origin, "--json");
    expect(code).toBe(1);
    for (const { look } of answersIn(stdout).results) expect(look).toContain("in front of the gateway");
  });

  test("says that nothing answered", async () => {
    const gone = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    const { origin } = gone.url;
    await gone.stop(true);
    await using house = await openGatehouse();
    using folder = fileFor(house.dir);
    const { code, stdout } = await meshmac(folder.path, "probe", "--url", origin, "--source", "jira");
    expect(code).toBe(1);
    expect(stdout).toContain("nothing answered");
  });

  test("needs no configuration: a kind, a header and the file of the token do", async () => {
    await using house = await openGatehouse();
    using folder = new Folder();
    folder.write("token", `${tokens.jira}\n`);
    const door = ["--url", house.door, "--source", "jira", "--token-file", "token"];
    const { code, stdout } = await meshmac(folder.path, "probe", ...door, "--json");
    const { results } = answersIn(stdout);
    expect(results.filter((one) => !one.ok)).toEqual([]);
    expect(code).toBe(0);
    const other = await meshmac(folder.path, "probe", ...door, "--header", "X-Other");
    expect(other.code).toBe(1);
    expect((await house.store.list({ limit: 5 })).runs).toEqual([]);
  });

  test("replays a folder of exchanges as canaries", async () => {
    await using house = await openGatehouse();
    using folder = fileFor(house.dir);
    const exchange = (status: string, answer: object) =>
      JSON.stringify({
        about: "invented",
        headers: {},
        body: { key: "MOB-77", fields: { status: { name: status }, labels: ["ci-build"] } },
        answer,
      });
    folder.write("seen/jira/queued.json", exchange("Building", { status: 200, outcome: "queued", reason: null }));
    folder.write("seen/jira/wrong.json", exchange("Done", { status: 200, outcome: "queued", reason: null }));
    const args = ["probe", "--url", house.server.publicUrl, "--fixtures", "seen", "--json"];
    const { code, stdout } = await meshmac(folder.path, ...args);
    expect(answersIn(stdout).results.map(({ name, ok }) => [name, ok])).toEqual([
      ["jira/queued", true],
      ["jira/wrong", false],
    ]);
    expect(code).toBe(1);
    expect((await house.store.list({ limit: 5 })).runs).toEqual([]);
  });
});

test("probing no door at all is no success", async () => {
  using folder = new Folder();
  folder.write("meshmac.config.json", "{}");
  const { code, stdout, stderr } = await meshmac(folder.path, "probe", "--url", "http://127.0.0.1:1");
  expect([code, stdout]).toEqual([78, ""]);
  expect(stderr).toContain("no source is configured");
});

describe("probe --outbound", () => {
  const chatAt = (url: string): Folder => {
    const folder = new Folder();
    folder.write(
      "meshmac.config.json",
      JSON.stringify({ chats: { builds: { kind: "mattermost", url: "builds/hook.url" } } }),
    );
    folder.write("secrets.d/builds/hook.url", `${url}\n`);
    return folder;
  };

  test("holds each chat's longest posts against its limits, and sends nothing unless asked", async () => {
    using fake = openMattermost();
    using folder = chatAt(fake.url);
    const dry = await meshmac(folder.path, "probe", "--outbound", "--json");
    expect([dry.code, JSON.parse(dry.stdout)]).toMatchObject([
      0,
      { ok: true, chats: [{ chat: "builds", sent: false }] },
    ]);
    expect(fake.requests).toHaveLength(0);
    const wet = await meshmac(folder.path, "probe", "--outbound", "--send", "--json");
    expect([wet.code, JSON.parse(wet.stdout)]).toMatchObject([
      0,
      { ok: true, chats: [{ chat: "builds", sent: true }] },
    ]);
    expect(fake.requests).toHaveLength(1);
  });
});

describe("what cannot be is refused with 64", () => {
  const refused: [string, string[], string][] = [
    ["--send alone", ["--send"], "--send goes with --outbound"],
    ["--self with a gateway", ["--self", "--url", "http://127.0.0.1:1"], "--self takes no --url"],
    ["a header without a token", ["--header", "X-Token"], "--header goes with --token-file"],
    ["a token without a kind", ["--token-file", "x", "--url", "http://127.0.0.1:1"], "add --source: jira"],
    ["a URL with a password", ["--url", "https://a:b@gateway.example"], "without a password"],
    ["plain http to another machine", ["--url", "http://gateway.example"], "plain http"],
    ["a kind that is none", ["--self", "--source", "jria"], "unknown kind of source"],
    ["no configuration", ["--url", "http://127.0.0.1:1"], "no configuration here"],
    ["a suite that is none", ["--suite", "smokes"], "did you mean smoke?"],
  ];
  test.each(refused)("%s", async (_, args, why) => {
    using folder = new Folder();
    const { code, stdout, stderr } = await meshmac(folder.path, "probe", ...args);
    expect(stderr).toContain(why);
    expect([code, stdout]).toEqual([64, ""]);
  });
});
