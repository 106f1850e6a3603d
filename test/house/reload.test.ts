import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "../../src/core/json.ts";
import { openMattermost } from "../fakes/mattermost.ts";
import { startRedis } from "../fakes/redis-server.ts";
import { deliver, eventually, Household, jiraBody, type Process, tokens, youtrackBody } from "./household.ts";
import { chanceFrom } from "./rotating.ts";

// A gateway whose configuration changes while it serves: by SIGHUP or by itself, right files and wrong ones. RELOAD_ROUNDS=200
// runs more, RELOAD_SEED another sequence.

const rounds = Number(process.env.RELOAD_ROUNDS ?? 10);
const seed = Number(process.env.RELOAD_SEED ?? 4711);
const binary = process.env.MESHMAC_BINARY ?? join(import.meta.dir, "../../dist/meshmac");
const loaded = "configuration loaded";
const refused = "configuration refused, the last one stays";

type Serving = Awaited<ReturnType<Household["serve"]>>;

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

/** The configuration that a house began with, to be changed and written again. */
class Papers {
  readonly house: Household;
  config: JsonObject & { sources: JsonObject & { jira: JsonObject; youtrack: JsonObject } };

  constructor(house: Household) {
    this.house = house;
    closing.push(() => house.close());
    this.config = JSON.parse(new TextDecoder().decode(Bun.mmap(house.config)));
  }

  /** Puts a text in the place of the file, in one step. */
  put(text: string = JSON.stringify(this.config)): void {
    writeFileSync(`${this.house.config}.new`, text, { mode: 0o600 });
    renameSync(`${this.house.config}.new`, this.house.config);
  }

  /** Puts the configuration in place and resolves when the gateway has said so. */
  async load(gateway: Process, message = loaded): Promise<void> {
    const said = count(gateway, message);
    this.put();
    gateway.child.kill("SIGHUP");
    await eventually(`another "${message}"`, () => count(gateway, message) > said);
  }
}

const count = (gateway: Process, message: string): number => gateway.lines.filter(({ msg }) => msg === message).length;

describe.each([
  ["sqlite", 0.6],
  ["redis", 0.4],
] as const)("on %s", (store, part) => {
  const turns = Math.max(2, Math.round(rounds * part));
  const title = `${turns} reloads, seed ${seed}, under a hundred deliveries a second: none is refused, lost or told twice`;
  test(title, () => reloads(store, turns), 120_000 + turns * 10_000);
});

async function reloads(store: "sqlite" | "redis", turns: number): Promise<void> {
  const chance = chanceFrom(seed + (store === "redis" ? 1 : 0));
  const redis = store === "redis" ? await startRedis({ appendfsync: "always" }) : null;
  closing.push(() => redis?.stop());
  using old = openMattermost();
  using fresh = openMattermost();
  const house = new Household({ mattermost: old.url, ...(redis && { store: `redis://127.0.0.1:${redis.port}/0` }) });
  const papers = new Papers(house);
  house.secret("mattermost/team.url", fresh.url);
  const own = ["youtrack-token-0-0123456789abcdef0123456789", "youtrack-token-1-0123456789abcdef0123456789"];
  for (const [n, token] of own.entries()) house.secret(`youtrack/turn-${n}.token`, token);
  let turn = 0;
  const here = { name: "builds", url: "mattermost/builds.url" };
  const write = () => {
    papers.config.chats = { [here.name]: chat(here.url) };
    papers.config.sources.youtrack.token = `youtrack/turn-${turn}.token`;
  };
  write();
  papers.put();
  const gateway = await house.serve();

  const runs = new Map<string, string>();
  const faults: string[] = [];
  const underWay = new Set<Promise<unknown>>();
  /** From a write until it was heard of, either token may be right. */
  let changing = false;
  let sent = 0;
  const send = async (door: "jira" | "youtrack", key: string): Promise<void> => {
    const [token, unsure] = [own[turn] ?? "", changing];
    const headers = door === "jira" ? {} : { "X-YouTrack-Token": token };
    const { status, body } = await deliver(gateway.url, door, bodyOf(door, key), headers);
    if (status === 200 && body.status === "queued" && body.run_id) runs.set(key, body.run_id);
    else if (!(door === "youtrack" && wrongToken.includes(status) && (unsure || changing)))
      faults.push(`${key} at ${door}: ${status} ${JSON.stringify(body)}`);
  };
  const posts = () => old.posts.length + fresh.posts.length;
  const timer = setInterval(() => {
    // A machine that is busy with other things posts more slowly than trackers send, and would never be done.
    if (underWay.size > 100 || runs.size - posts() > 1000) return;
    const key = `MOB-${1000 + ++sent}`;
    const sending = send(sent % 2 === 0 ? "jira" : "youtrack", key)
      .catch((fault: unknown) => faults.push(`${key}: ${String(fault)}`))
      .finally(() => underWay.delete(sending));
    underWay.add(sending);
  }, 8);

  let right = 0;
  let wrong = 0;
  try {
    for (let round = 0; round < turns; round++) {
      const before = [...gateway.lines].filter(({ msg }) => msg === loaded || msg === refused).length;
      const next = turnOf(round);
      changing = next.changesToken;
      if (next.text !== undefined) {
        papers.put(next.text);
        wrong++;
      } else {
        right++;
        papers.config.escalate_after = `${600 + round}s`;
        papers.put();
      }
      if (chance() < 0.7) gateway.child.kill("SIGHUP");
      await eventually(
        `round ${round} to be heard of`,
        () => gateway.lines.filter(({ msg }) => msg === loaded || msg === refused).length > before,
      );
      changing = false;
      await next.prove();
    }
  } finally {
    clearInterval(timer);
    await Promise.all(underWay);
  }

  /** What changes in a round, and what shows that it did. */
  function turnOf(round: number): { text?: string; changesToken: boolean; prove: () => Promise<void> } {
    // Whatever the dice say, one that is right and one that is wrong.
    const kind = [1, 4][round] ?? Math.floor(chance() * 6);
    const key = `ACME-${round + 1}`;
    if (kind === 0) {
      turn = 1 - turn;
      write();
      const other = own[1 - turn] ?? "";
      return {
        changesToken: true,
        async prove() {
          const answer = await deliver(gateway.url, "youtrack", youtrackBody(key), { "X-YouTrack-Token": other });
          expect(answer.status).toBeOneOf(wrongToken);
        },
      };
    }
    if (kind <= 2) {
      if (kind === 1) here.url = here.url === "mattermost/builds.url" ? "mattermost/team.url" : "mattermost/builds.url";
      else here.name = here.name === "builds" ? "team" : "builds";
      write();
      const goesTo = here.url === "mattermost/builds.url" ? old : fresh;
      return {
        changesToken: false,
        async prove() {
          await send("jira", key);
          await inTheEnd(`${key} in the new chat`, posts, () => told(goesTo, key) === 1);
        },
      };
    }
    if (kind === 3) {
      const status = `Stage ${round}`;
      papers.config.sources.jira.build_when = [{ status: ["Building", status], labels: ["ci-build"] }];
      return {
        changesToken: false,
        async prove() {
          const answer = await deliver(gateway.url, "jira", jiraBody(key, { status }));
          expect(answer.body.status).toBe("queued");
          runs.set(key, String(answer.body.run_id));
        },
      };
    }
    const whole = JSON.stringify({ ...papers.config, escalate_after: `${7000 + round}s` });
    const text = [
      whole.slice(0, Math.floor(whole.length * chance())),
      JSON.stringify({ ...papers.config, [`chat${round}`]: {} }),
      JSON.stringify({ ...papers.config, heartbeat: { url: `heartbeat/gone-${round}.url` } }),
    ][Math.floor(chance() * 3)];
    return { text: text ?? "", changesToken: false, prove: async () => {} };
  }

  expect(faults).toEqual([]);
  expect(count(gateway, loaded)).toBe(right);
  expect(count(gateway, refused)).toBe(wrong);
  expect(right).toBeGreaterThan(0);
  expect(wrong).toBeGreaterThan(0);
  expect(runs.size).toBeGreaterThan(turns);

  // Posts for a name that is gone wait for it; with both names there, each is told where it was to be.
  papers.config.chats = { builds: chat("mattermost/builds.url"), team: chat("mattermost/team.url") };
  await papers.load(gateway);
  await inTheEnd("every run to be told", posts, () => posts() >= runs.size);
  const keys = [...old.posts, ...fresh.posts].map(keyOf);
  expect(keys.toSorted()).toEqual([...runs.keys()].toSorted());
  expect(new Set(runs.values()).size).toBe(runs.size);
  expect([...(await queuedRuns(gateway))].toSorted()).toEqual([...runs.values()].toSorted());
  expect([...old.faults, ...fresh.faults]).toEqual([]);
}

const chat = (url: string) => ({ kind: "mattermost", url, states: ["queued"], rate: "1000/s" });

// Too many at once from one address are told so.
const wrongToken = [401, 429];

const bodyOf = (door: "jira" | "youtrack", key: string): JsonObject =>
  door === "jira" ? jiraBody(key) : youtrackBody(key);

/** Waits for what comes in its turn: for as long as there is another one every 30 s. */
async function inTheEnd(what: string, progress: () => number, check: () => boolean): Promise<void> {
  for (;;) {
    const before = progress();
    await eventually(what, () => check() || progress() > before);
    if (check()) return;
  }
}

const keyOf = (post: JsonObject): string => /(?:MOB|ACME)-\d+/.exec(JSON.stringify(post))?.[0] ?? "none";
const told = ({ posts }: { posts: JsonObject[] }, key: string): number =>
  posts.filter((post) => keyOf(post) === key).length;

/** The id of every run there is, over the pages of the admin side. */
async function queuedRuns({ admin }: Serving): Promise<Set<string>> {
  const ids = new Set<string>();
  for (let cursor: string | null = ""; cursor !== null;) {
    const answer = await fetch(`${admin}/api/v1/runs?limit=200${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    const page = (await answer.json()) as { runs: { run_id: string }[]; next: string | null };
    for (const { run_id } of page.runs) ids.add(run_id);
    cursor = page.next;
  }
  return ids;
}

test("a wrong file changes nothing and is said once; /readyz and doctor say so until it is mended", async () => {
  const papers = new Papers(new Household());
  const gateway = await papers.house.serve();
  const right = JSON.stringify(papers.config);
  const found = async (): Promise<boolean> => {
    const { stdout } = await papers.house.run("doctor", "--json", "--only", "config-not-loaded");
    return JSON.parse(stdout).findings.length > 0;
  };
  papers.put(JSON.stringify({ ...papers.config, chat: {} }));
  const said = await gateway.said(refused);
  expect(said).toMatchObject({ level: "error", problems: ['unknown key "chat" (did you mean "chats"?)'] });
  // Asked twice more it answers, and complains no more.
  for (let asked = 1; asked <= 2; asked++) {
    gateway.child.kill("SIGHUP");
    await eventually("an answer", () => count(gateway, "configuration still refused") === asked);
  }
  expect(count(gateway, refused)).toBe(1);
  expect((await deliver(gateway.url, "jira", jiraBody("MOB-12"))).body.status).toBe("queued");
  expect(await notesOf(gateway)).toEqual([expect.stringContaining("not in use")]);
  await eventually("the finding", found);

  papers.put(right);
  await gateway.said(loaded);
  expect(await notesOf(gateway)).toEqual([]);
  await eventually("no finding", async () => !(await found()));
});

test("a file that names a secret which is not there, or which others can read, is taken when that is mended", async () => {
  const papers = new Papers(new Household());
  const gateway = await papers.house.serve();
  papers.config.sources.jira.token = "jira/another.token";
  await papers.load(gateway, refused);
  const value = "another-token-0123456789abcdef0123456789";
  papers.house.write("secrets.d/jira/another.token", value, 0o644);
  await eventually("the mode to be told", () => count(gateway, refused) === 2);
  const headers = { "X-Meshmac-Jira-Token": value };
  expect((await deliver(gateway.url, "jira", jiraBody("MOB-12"), headers)).status).toBe(401);
  expect((await deliver(gateway.url, "jira", jiraBody("MOB-12"))).status).toBe(200);
  papers.house.write("secrets.d/jira/another.token", value, 0o600);
  await gateway.said(loaded);
  expect((await deliver(gateway.url, "jira", jiraBody("MOB-13"), headers)).status).toBe(200);
  expect((await deliver(gateway.url, "jira", jiraBody("MOB-13"))).status).toBe(401);
  expect(gateway.stderr).not.toContain(value);
});

test("a door that is added answers, one that is gone is 404, and lanes reach the store", async () => {
  const papers = new Papers(new Household());
  const gateway = await papers.house.serve();
  const { youtrack } = papers.config.sources;
  const limit = async () => {
    const { stdout } = await papers.house.run("lanes", "list", "--json");
    return JSON.parse(stdout).lanes.find(({ lane }: { lane: string }) => lane === "ios")?.limit;
  };
  Object.assign(papers.config.sources, { second: { ...youtrack, path: "/second" } });
  Reflect.deleteProperty(papers.config.sources, "youtrack");
  papers.config.lanes = { ios: { limit: 3 } };
  await papers.load(gateway);
  expect((await gateway.said(loaded)).changed).toEqual(["sources.youtrack", "sources.second", "lanes.ios.limit"]);
  expect((await deliver(gateway.url, "youtrack", youtrackBody("MOB-12"))).status).toBe(404);
  const headers = { "Content-Type": "application/json", "X-YouTrack-Token": tokens.youtrack };
  const knock = { method: "POST", headers, body: JSON.stringify(youtrackBody("MOB-12")) };
  expect(await (await fetch(`${gateway.url}/second`, knock)).json()).toMatchObject({ status: "queued" });
  await eventually("the limit", async () => (await limit()) === 3);
});

test("another debounce and other lease numbers are taken: by the next move, and by the next lease", async () => {
  const script = '#!/bin/sh\ntouch "$MESHMAC_PARAM_BEGUN"\nwhile [ ! -e "$MESHMAC_PARAM_GOES" ]; do sleep 0.05; done\n';
  // Over SQLite a gateway that starts waits one ttl, the one it starts with, before it takes back any lease.
  const redis = await startRedis({ appendfsync: "always" });
  closing.push(() => redis.stop());
  const store = `redis://127.0.0.1:${redis.port}/0`;
  const papers = new Papers(new Household({ scripts: { "build-ios": script }, store }));
  const { house } = papers;
  const [begun, goes] = [join(house.dir, "begun"), join(house.dir, "goes")];
  Object.assign(papers.config.sources.jira, { debounce: "1h" });
  Object.assign(Object(papers.config.sources.jira.task), { params: { begun, goes } });
  papers.config.lease = { ttl: "1h", heartbeat: "20m", fence: "50m" };
  papers.put();
  const gateway = await house.serve();
  const worker = await house.work();
  const run = async (id: unknown) => JSON.parse((await house.run("runs", "show", String(id), "--json")).stdout);
  const waits = await deliver(gateway.url, "jira", jiraBody("MOB-12"));
  expect((await run(waits.body.run_id)).reason).toContain("debounced: waits until");

  Object.assign(papers.config.sources.jira, { debounce: "1ms" });
  papers.config.lease = { ttl: "1500ms", heartbeat: "200ms", fence: "500ms" };
  await papers.load(gateway);
  expect((await gateway.said(loaded)).changed).toEqual([
    "sources.jira.debounce",
    "lease.ttl",
    "lease.heartbeat",
    "lease.fence",
  ]);
  const next = await deliver(gateway.url, "jira", jiraBody("MOB-13"));
  await eventually("the next one to run", () => existsSync(begun));
  // It waits as it was told to; the one that came after the reload does not.
  expect((await run(waits.body.run_id)).state).toBe("queued");
  expect((await run(next.body.run_id)).state).toBe("running");
  // With the hour that stood there before, nobody would take it back within this test.
  await worker.kill9();
  await eventually("its lease to run out", async () => (await run(next.body.run_id)).lost === 1);
});

test("what only a start can open stays as it runs and is named; the rest is taken", async () => {
  const papers = new Papers(new Household());
  papers.house.secret("admin/api.token", tokens.jiraRest);
  const { gateway: before } = papers.config;
  papers.config.gateway = { ...Object(before), admin: { listen: "127.0.0.1:0", token: "admin/api.token" } };
  papers.put();
  const gateway = await papers.house.serve();
  const nodes = { listen: "127.0.0.1:0", url: "https://mesh.example" };
  const authorization = { Authorization: `Bearer ${tokens.jiraRest}` };

  papers.config.gateway = { ...Object(before), listen: "127.0.0.1:1", nodes };
  papers.config.pool = "another";
  papers.config.sources.jira.path = "/jira/another";
  await papers.load(gateway);
  expect((await gateway.said("configuration needs a restart")).needs_restart).toEqual([
    "pool",
    "gateway.listen",
    "gateway.nodes.listen",
  ]);
  expect((await gateway.said(loaded)).changed).toEqual(["gateway.admin.token", "sources.jira.path"]);
  expect((await deliver(gateway.url, "jira", jiraBody("MOB-12"))).status).toBe(404);
  // No token is asked for any more.
  expect(await notesOf(gateway)).toEqual([expect.stringContaining("needs a restart: pool, gateway.listen")]);
  await papers.load(gateway, "configuration unchanged");
  expect(count(gateway, "configuration needs a restart")).toBe(1);

  papers.config.gateway = before ?? {};
  papers.config.pool = "acme-ios";
  await papers.load(gateway);
  expect((await fetch(`${gateway.admin}/readyz`, { headers: authorization })).status).toBe(200);
  expect(await notesOf(gateway)).toEqual([]);
});

test("what would be safe only after a restart is refused before it", async () => {
  const papers = new Papers(new Household());
  papers.house.secret("admin/api.token", tokens.jiraRest);
  const open = { admin: { listen: "0.0.0.0:0", token: "admin/api.token" } };
  papers.config.gateway = { ...Object(papers.config.gateway), ...open };
  papers.put();
  const gateway = await papers.house.serve();
  papers.config.gateway = { ...Object(papers.config.gateway), admin: { listen: "127.0.0.1:0" } };
  await papers.load(gateway, refused);
  expect((await gateway.said(refused)).problems).toEqual([expect.stringContaining("gateway.admin.token: is missing")]);
  expect((await fetch(`${gateway.admin}/api/v1/runs`)).status).toBe(401);
});

test("a gateway that is killed while it reads starts with what the file says then", async () => {
  const chance = chanceFrom(seed + 1);
  const papers = new Papers(new Household());
  let gateway = await papers.house.serve();
  for (let round = 0; round < 5; round++) {
    const path = `/jira/turn-${round}`;
    papers.config.sources.jira.path = path;
    papers.put();
    gateway.child.kill("SIGHUP");
    await new Promise((next) => setTimeout(next, chance() * 800));
    await gateway.kill9();
    gateway = await papers.house.serve();
    const doors = (await gateway.said("gateway listening")).doors;
    expect(doors).toContainEqual(`jira ${gateway.url}${path}`);
  }
});

test("up with a file reads it again at a SIGHUP; its worker needs a restart", async () => {
  const papers = new Papers(new Household());
  const up = papers.house.start(["up"], { MESHMAC_LOG_LEVEL: "info" });
  const { public_url } = await up.said("gateway listening");
  papers.config.sources.jira.path = "/jira/another";
  papers.config.node = { id: "mac-07", labels: ["xcode-16"] };
  await papers.load(up);
  expect((await up.said("configuration needs a restart")).needs_restart).toEqual(["node"]);
  expect((await deliver(String(public_url), "jira", jiraBody("MOB-12"))).status).toBe(404);
  expect(await up.stop()).toBe(0);
});

test("a SIGHUP drains where a terminal has gone away, and a worker everywhere", async () => {
  const { house } = new Papers(new Household());
  let seen = "";
  const terminal = { data: (_: unknown, data: Uint8Array) => void (seen += new TextDecoder().decode(data)) };
  const serving = Bun.spawn([binary, "serve", "--config", house.config], {
    cwd: house.dir,
    env: { PATH: process.env.PATH ?? "", HOME: house.dir },
    terminal,
  });
  await eventually("it to listen", () => seen.includes("gateway listening"));
  const worker = await house.work();
  expect(await worker.stop("SIGHUP")).toBe(0);
  serving.kill("SIGHUP");
  expect(await serving.exited).toBe(0);
  expect(seen).toContain("gateway stopped");
});

async function notesOf({ admin }: Serving): Promise<string[]> {
  return ((await (await fetch(`${admin}/readyz`)).json()) as { notes: string[] }).notes;
}
