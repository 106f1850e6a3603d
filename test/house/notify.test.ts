import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { JsonObject } from "../../src/core/json.ts";
import { type Mattermost, openMattermost } from "../fakes/mattermost.ts";
import { startRedis } from "../fakes/redis-server.ts";
import { gate, type Injection } from "../fakes/remote.ts";
import { eventually, everything, Household, Process } from "./household.ts";

// A build that something else ran is told by the compiled binary: through a gateway where one lives, by itself where none does.

const stores: ["sqlite" | "redis"][] = [["sqlite"], ["redis"]];

const build = ["notify", "--workflow", "nightly", "--state", "succeeded", "--branch", "main", "--json"];

interface Told {
  outcome: string;
  sender: string;
  provider_run_id: string;
  posts: { chat: string; status: string; tries: number; why: string | null }[];
}

const toldBy = ({ stdout }: { stdout: string }): Told => JSON.parse(stdout);

/** Runs a short command to its end, its output included. */
async function ran(house: Household, args: string[]) {
  const command = house.start(args);
  const code = await command.child.exited;
  await eventually("what it said", () => command.stdout.endsWith("\n"));
  return { code, stdout: command.stdout, stderr: command.stderr };
}

describe.each(stores)("on %s", (kind) => {
  let redis: Awaited<ReturnType<typeof startRedis>> | undefined;
  beforeAll(async () => {
    redis = kind === "redis" ? await startRedis({ appendonly: "yes" }) : undefined;
  });
  afterAll(async () => await redis?.stop());

  /** A pool of its own, with one chat that does what the script says. */
  function open(script: Injection[] = [], more: JsonObject = {}, deleted = false) {
    const chat: Mattermost = openMattermost({ script, deleted });
    const house = new Household({
      ...(redis && { store: `redis://127.0.0.1:${redis.port}/0` }),
      mattermost: chat.url,
      config: { pool: `p${crypto.randomUUID().slice(0, 8)}`, ...more },
    });
    const close = async () => {
      await house.close();
      chat.close();
    };
    return { chat, house, [Symbol.asyncDispose]: close };
  }

  test("a gateway that is alive sends, and the command waits for the receipt", async () => {
    const held = gate();
    await using given = open([{ gate: held }]);
    const { chat, house } = given;
    const gateway = await house.serve();
    const command = house.start(build);
    await chat.arrived(1);
    expect(command.child.exitCode).toBeNull();
    held.open();
    expect(await command.child.exited).toBe(0);
    await eventually("what it said", () => command.stdout.endsWith("\n"));
    expect(toldBy(command)).toMatchObject({
      outcome: "sent",
      sender: "gateway",
      posts: [{ chat: "builds", tries: 1 }],
    });
    expect((await gateway.said("post sent")).destination).toBe("chat:builds");
    expect(chat.posts).toHaveLength(1);
    expect(chat.faults).toEqual([]);
  });

  test("without a gateway the command sends, at the second try where the first one failed", async () => {
    await using given = open([503]);
    const { chat, house } = given;
    const { code, stdout } = await ran(house, [...build, "--commit", "0123456789abcdef", "--node", "mac-11"]);
    expect(code).toBe(0);
    expect(toldBy({ stdout })).toMatchObject({
      outcome: "sent",
      sender: "here",
      posts: [{ chat: "builds", tries: 2 }],
    });
    const [post] = chat.posts.map((body) => JSON.stringify(body));
    for (const fact of ["nightly", "succeeded", "main", "01234567", "mac-11"]) expect(post).toContain(fact);
    expect(chat.faults).toEqual([]);
  });

  test.each([["with a gateway"], ["without one"]])("many nodes that report one build tell it once, %s", async (how) => {
    await using given = open();
    const { chat, house } = given;
    if (how === "with a gateway") await house.serve();
    const all = await Promise.all(
      Array.from({ length: 5 }, () => ran(house, [...build, "--provider-run-id", "gh-4711"])),
    );
    expect(all.map(({ code, stderr }) => [code, stderr])).toEqual(Array.from({ length: 5 }, () => [0, ""]));
    expect(all.map(toldBy).filter(({ outcome }) => outcome !== "seen").length).toBeGreaterThan(0);
    await eventually("the post", () => chat.posts.length > 0);
    const again = await ran(house, [...build, "--provider-run-id", "gh-4711"]);
    expect([again.code, toldBy(again).outcome]).toEqual([0, "seen"]);
    expect((await ran(house, [...build, "--provider-run-id", "gh-4711", "--state", "failed"])).code).toBe(0);
    expect(chat.posts.map((post) => /succeeded|failed/.exec(JSON.stringify(post))?.[0])).toEqual([
      "succeeded",
      "failed",
    ]);
  });

  test.each([["with a gateway"], ["without one"]])(
    "a hook that is gone ends it with 69 and the reason, %s",
    async (how) => {
      await using given = open([], {}, true);
      const { chat, house } = given;
      if (how === "with a gateway") await house.serve();
      const { code, stdout, stderr } = await ran(house, build);
      expect(code).toBe(69);
      expect(toldBy({ stdout })).toMatchObject({ outcome: "dead", posts: [{ chat: "builds", status: "dead" }] });
      expect(stderr).toContain("not told: builds (status 400");
      expect(stderr).toContain("meshmac notify --test builds");
      const hook = chat.url.split("/").at(-1) ?? "?";
      expect(`${stdout}${stderr}${await everything(house.dir)}`).not.toContain(hook);
    },
  );

  test("a chat that will not take it soon ends it with 75, and a gateway has it then", async () => {
    await using given = open([503], { retry: { max_attempts: 1 } });
    const { house } = given;
    const { code, stdout, stderr } = await ran(house, build);
    expect(code).toBe(75);
    expect(toldBy({ stdout })).toMatchObject({ outcome: "later", posts: [{ status: "waiting", tries: 1 }] });
    expect(stderr).toContain("not told yet: builds (status 503");
    expect(stderr).toContain("once one is started");
  });

  test("a chat that was named is told alone, also one that hears no such state", async () => {
    const chats = {
      builds: { kind: "mattermost", url: "mattermost/builds.url" },
      quiet: { kind: "mattermost", url: "mattermost/quiet.url", states: ["failed"] },
    };
    await using given = open([], { chats });
    const { chat, house } = given;
    using quiet = openMattermost();
    house.secret("mattermost/quiet.url", quiet.url);
    await house.serve();
    expect(toldBy(await ran(house, build)).posts.map((post) => post.chat)).toEqual(["builds"]);
    expect(toldBy(await ran(house, [...build, "--chat", "quiet"])).posts.map((post) => post.chat)).toEqual(["quiet"]);
    expect([chat.posts.length, quiet.posts.length]).toEqual([1, 1]);
    const unheard = await ran(house, [...build.slice(0, -1), "--state", "cancelled", "--chat", "quiet"]);
    expect(unheard).toMatchObject({ code: 0, stdout: "told quiet\n" });
  });

  test.each([
    ["knows no chat", true],
    ["has no secrets", false],
  ])("a node that %s hands in and does not wait", async (_, bare) => {
    await using given = open();
    const { chat, house } = given;
    const gateway = await house.serve();
    const whole = JSON.parse(await Bun.file(house.config).text()) as JsonObject;
    house.write(
      "node.config.json",
      JSON.stringify({ ...whole, ...(bare ? { chats: {} } : { secrets_dir: "./none" }) }),
      0o600,
    );
    const node = new Process([...build, "--config", `${house.dir}/node.config.json`], house.dir);
    expect(await node.child.exited).toBe(0);
    await eventually("what it said", () => node.stdout.endsWith("\n"));
    expect(toldBy(node)).toMatchObject({ outcome: "handed_in", sender: "gateway", posts: [] });
    await chat.arrived(1);
    await gateway.said("post sent");
    expect(chat.posts).toHaveLength(1);
  });
});

test("when the gateway is killed meanwhile, the command sends what the gateway could not", async () => {
  using chat = openMattermost({ script: [503] });
  await using house = new Household({
    mattermost: chat.url,
    config: { retry: { base_delay_ms: 2000, jitter_ratio: 0 } },
  });
  const gateway = await house.serve();
  const command = house.start(build);
  await gateway.said("post delayed");
  await gateway.kill9();
  expect(await command.child.exited).toBe(0);
  await eventually("what it said", () => command.stdout.endsWith("\n"));
  expect(toldBy(command)).toMatchObject({ outcome: "sent", sender: "here", posts: [{ tries: 2 }] });
  expect(chat.posts).toHaveLength(1);
});
