import { afterEach, expect, test } from "bun:test";
import { renameSync, writeFileSync } from "node:fs";
import type { JsonObject } from "../../src/core/json.ts";
import { openMattermost } from "../fakes/mattermost.ts";
import { deliver, eventually, Household, jiraBody, type Process, youtrackBody } from "./household.ts";
import { chanceFrom } from "./rotating.ts";

// A gateway whose configuration changes while it serves: by SIGHUP or by itself, right files and wrong ones. RELOAD_ROUNDS=200
// runs more, RELOAD_SEED another sequence.

const rounds = Number(process.env.RELOAD_ROUNDS ?? 20);
const seed = Number(process.env.RELOAD_SEED ?? 4711);
const loaded = "configuration loaded";
const refused = "configuration refused, the last one stays";

type Serving = Awaited<ReturnType<Household["serve"]>>;

const houses: Household[] = [];
afterEach(async () => {
  for (const house of houses.splice(0)) await house.close();
});

/** The configuration that a house began with, to be changed and written again. */
class Papers {
  readonly house: Household;
  config: JsonObject & { sources: JsonObject & { jira: JsonObject; youtrack: JsonObject } };

  constructor(house: Household) {
    this.house = house;
    houses.push(house);
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

test(
  `${rounds} reloads, seed ${seed}, under a hundred deliveries a second: none is refused, none is lost, each is told once`,
  async () => {
    const chance = chanceFrom(seed);
    const old = openMattermost();
    const fresh = openMattermost();
    const house = new Household({ mattermost: old.url });
    const papers = new Papers(house);
    house.secret("mattermost/team.url", fresh.url);
    const own = ["youtrack-token-0-0123456789abcdef0123456789", "youtrack-token-1-0123456789abcdef0123456789"];
    for (const [n, token] of own.entries()) house.secret(`youtrack/turn-${n}.token`, token);
    let turn = 0;
    const chat = (url: string) => ({ kind: "mattermost", url, states: ["queued"], rate: "1000/s" });
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
    const timer = setInterval(() => {
      const key = `MOB-${1000 + ++sent}`;
      const sending = send(sent % 2 === 0 ? "jira" : "youtrack", key)
        .catch((fault: unknown) => faults.push(`${key}: ${String(fault)}`))
        .finally(() => underWay.delete(sending));
      underWay.add(sending);
    }, 8);

    let right = 0;
    let wrong = 0;
    try {
      for (let round = 0; round < rounds; round++) {
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
      const kind = Math.floor(chance() * 6);
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
            await eventually(`${key} in the new chat`, () => told(goesTo, key) === 1);
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
    expect(runs.size).toBeGreaterThan(500);

    // Posts for a name that is gone wait for it; with both names there, each is told where it was to be.
    papers.config.chats = { builds: chat("mattermost/builds.url"), team: chat("mattermost/team.url") };
    await papers.load(gateway);
    await eventually("every run to be told", () => old.posts.length + fresh.posts.length >= runs.size);
    const keys = [...old.posts, ...fresh.posts].map(keyOf);
    expect(keys.toSorted()).toEqual([...runs.keys()].toSorted());
    expect(new Set(runs.values()).size).toBe(runs.size);
    expect([...(await queuedRuns(gateway))].toSorted()).toEqual([...runs.values()].toSorted());
    expect([...old.faults, ...fresh.faults]).toEqual([]);
    old.close();
    fresh.close();
  },
  120_000 + rounds * 10_000,
);

// Too many at once from one address are told so.
const wrongToken = [401, 429];

const bodyOf = (door: "jira" | "youtrack", key: string): JsonObject =>
  door === "jira" ? jiraBody(key) : youtrackBody(key);

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
