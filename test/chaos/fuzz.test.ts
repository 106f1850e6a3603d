import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isObject, type JsonObject } from "../../src/core/json.ts";
import { startRedis } from "../fakes/redis-server.ts";
import { raw } from "../gateway/gatehouse.ts";
import { eventually, Household, jiraBody, tokens, youtrackBody } from "../house/household.ts";
import { diceOf } from "./dice.ts";
import { broken, crooked, headersFor, mutated } from "./mutate.ts";

// Strangers and trackers gone mad, at the compiled gateway. `FUZZ_REQUESTS=100000` for the whole of it; a seed repeats a run.

const count = Number(process.env.FUZZ_REQUESTS ?? 3000);
const seed = Number(process.env.FUZZ_SEED ?? 20_261_121);
const atOnce = 32;
const deadline = 60_000 + count * 10;

const doors = [
  { kind: "jira", path: "/jira/openclaw", header: "X-Meshmac-Jira-Token", token: tokens.jira },
  { kind: "youtrack", path: "/youtrack/webhook", header: "X-YouTrack-Token", token: tokens.youtrack },
] as const;

/** What the trackers really send. */
const bodies: Record<string, JsonObject[]> = {
  jira: [jiraBody("MOB-1"), ...fixtures("jira")],
  youtrack: [youtrackBody("MOB-2"), ...fixtures("youtrack")],
};

interface Place {
  url: string | undefined;
  leave(): Promise<unknown>;
  back(): Promise<unknown>;
  stop(): Promise<unknown>;
}

const nothing = async () => {};
const places: [what: string, open: () => Promise<Place>][] = [
  ["an embedded store", async () => ({ url: undefined, leave: nothing, back: nothing, stop: nothing })],
  [
    "a Redis that is away",
    async () => {
      const redis = await startRedis();
      const url = `redis://127.0.0.1:${redis.port}/0`;
      return { url, leave: redis.kill9, back: () => redis.restart(), stop: redis.stop };
    },
  ],
];

test.each(places)(
  "with %s, whatever comes: no 5xx but 503, no task of anybody without a token, and nothing grows",
  async (what, open) => {
    const place = await open();
    await using house = new Household(place.url === undefined ? {} : { store: place.url });
    const gateway = await house.serve();
    await place.leave();
    const dice = diceOf(seed);
    const statuses = new Map<number, number>();
    let authenticated = 0;
    let begun = 0;
    let rssBefore = 0;

    const one = async (): Promise<void> => {
      const number = begun++;
      if (number === Math.floor(count / 10)) rssBefore = rssOf(gateway.child.pid);
      const { request, crook, known } = requestOf(dice, number);
      if (known) authenticated++;
      const status = crook === null ? await statusOf(gateway.url, request) : await crookedStatus(gateway.url, crook);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      // To another version of HTTP Bun says 505 by itself, before there is a request.
      if (status >= 500 && status !== 503 && !(status === 505 && crook !== null))
        throw new Error(`request ${number} of seed ${seed} got ${status}`);
    };
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        while (begun < count) await one();
      }),
    );

    const rssAfter = rssOf(gateway.child.pid);
    expect(gateway.child.exitCode).toBeNull();
    await place.back();
    await eventually("all of it in the store", async () => {
      const { spool, state } = (await (await fetch(`${gateway.admin}/readyz`)).json()) as Readiness;
      expect(spool.refused).toBe(0);
      return state === "ready" && spool.waiting === 0;
    });
    expect(gateway.lines.filter(({ msg }) => msg === "request failed")).toEqual([]);
    const { runs, texts } = await runsOf(gateway.admin);
    expect(runs).toBeLessThanOrEqual(authenticated);
    expect(texts).not.toContain("STRANGER");
    // Both ways are taken, or this proves nothing.
    expect(statuses.get(200)).toBeGreaterThan(count / 10);
    expect(statuses.get(401)! + (statuses.get(429) ?? 0)).toBeGreaterThan(count / 20);
    const counts = [...statuses].toSorted(([a], [b]) => a - b).map(([status, n]) => `${status}: ${n}`);
    process.stderr.write(
      `${what}, seed ${seed}, ${count} requests, ${runs} runs; ${counts.join(", ")}; RSS ${rssBefore} → ${rssAfter} MiB\n`,
    );
    if (rssBefore > 0) expect(rssAfter).toBeLessThan(rssBefore + 400);
    await place.stop();
  },
  deadline,
);

interface Readiness {
  state: string;
  spool: { waiting: number; refused: number };
}

interface Asked {
  request: { path: string; init: RequestInit };
  /** Bytes to send as they are, in place of the request. */
  crook: string | null;
  /** Whether it shows a right token. */
  known: boolean;
}

function requestOf(dice: () => number, number: number): Asked {
  const door = doors[Math.floor(dice() * doors.length)] ?? doors[0];
  const known = dice() < 0.7;
  const own = bodies[door.kind] ?? [];
  const body = mutated(marked(own[Math.floor(dice() * own.length)] ?? {}, known, number), dice);
  const text = JSON.stringify(dice() < 0.3 ? marked(own[0] ?? {}, known, number) : body);
  const headers = headersFor(dice);
  if (known) headers[door.header] = door.token;
  else if (dice() < 0.8) headers[door.header] = wrongToken(door.token, dice);
  const method = dice() < 0.97 ? "POST" : (["GET", "PUT", "DELETE", "PATCH", "OPTIONS"][number % 5] ?? "GET");
  const path = dice() < 0.97 ? door.path : `${door.path}${["/", "/..", "?x=1", "%2e", "/%00", "//x"][number % 6]}`;
  const sent = dice() < 0.15 ? broken(text, dice) : text;
  const isCrooked = dice() < 0.04;
  const head = `POST ${door.path} HTTP/1.1\r\nHost: a\r\n${Object.entries(headers)
    .map((header) => `${header.join(": ")}\r\n`)
    .join("")}`;
  const hasBody = method !== "GET";
  return {
    request: { path, init: { method, headers, ...(hasBody && { body: sent }) } },
    crook: isCrooked ? crooked(head, text, dice) : null,
    known,
  };
}

/** A body about an issue of its own; what a stranger sends can be told by its words. */
function marked(body: JsonObject, known: boolean, number: number): JsonObject {
  const project = known ? "MOB" : "STRANGER";
  return JSON.parse(JSON.stringify(body).replaceAll(/\bMOB-\d+\b/g, `${project}-${number}`)) as JsonObject;
}

const wrongToken = (token: string, dice: () => number): string =>
  [
    token.slice(1),
    `${token}x`,
    token.toUpperCase(),
    "secret",
    "x".repeat(Math.floor(dice() * 4000)),
    `Bearer ${token}`,
    "é".repeat(20),
  ][Math.floor(dice() * 7)] ?? "";

async function statusOf(url: string, { path, init }: Asked["request"]): Promise<number> {
  try {
    const answer = await fetch(url + path, init);
    await answer.arrayBuffer();
    return answer.status;
  } catch {
    return 0; // a header that the client does not send, or a connection that the server broke off
  }
}

async function crookedStatus(url: string, text: string): Promise<number> {
  const answer = await Promise.race([
    raw(url, text, /^HTTP\/1\.1 \d+/).catch(() => ""),
    new Promise<string>((resolve) => setTimeout(() => resolve(""), 500)), // it waits for more, as it may
  ]);
  return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0);
}

function fixtures(kind: string): JsonObject[] {
  const dir = join(import.meta.dir, "../../fixtures/sources", kind);
  return [...new Bun.Glob("*.json").scanSync(dir)].toSorted().flatMap((name) => {
    const { body } = JSON.parse(readFileSync(join(dir, name), "utf8")) as JsonObject;
    return isObject(body) ? [body] : [];
  });
}

/** Resident memory in MiB. */
function rssOf(pid: number): number {
  const { stdout } = Bun.spawnSync(["ps", "-o", "rss=", "-p", String(pid)]);
  return Math.round(Number(stdout.toString().trim()) / 1024);
}

/** How many runs there are, and everything that is said of them. */
async function runsOf(admin: string): Promise<{ runs: number; texts: string }> {
  let runs = 0;
  let texts = "";
  for (let cursor = ""; ;) {
    const answer = await fetch(`${admin}/api/v1/runs?limit=200${cursor}`);
    const text = await answer.text();
    const page = JSON.parse(text) as { runs: unknown[]; next: string | null };
    runs += page.runs.length;
    texts += text;
    if (page.next === null) return { runs, texts };
    cursor = `&cursor=${page.next}`;
  }
}
