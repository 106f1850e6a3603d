import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { createToken } from "../../src/secrets.ts";
import { type Certified, certify } from "../fakes/authority.ts";
import { startRedis } from "../fakes/redis-server.ts";
import { shownAt } from "../fakes/shown.ts";
import { openJira } from "../fakes/tracker.ts";
import { eventually, Household, jiraBody, type Process } from "./household.ts";
import { chanceFrom, rotate, Senders } from "./rotating.ts";

// Rotations under load, with kill -9 of `rotate` and of the gateway at random moments: nobody who has a valid token is
// refused, whoever has only the old one is, and at no moment is no value accepted. ROTATE_ROUNDS=200 runs more, ROTATE_SEED another sequence.

const rounds = Number(process.env.ROTATE_ROUNDS ?? 5);
const seed = Number(process.env.ROTATE_SEED ?? 4711);
const share = (part: number): number => Math.max(1, Math.round(rounds * part));
const patience = 60_000 + rounds * 60_000;
// For 30 s after a kill a gateway that shares its store counts as one that lives, and a commit waits for its word.
const mourning = 90_000;

const inbound = "jira/inbound.token";
const rest = "jira/rest.token";
const quiet = ["--quiet", "1s"];

const valueIn = (house: Household, name: string): string =>
  readFileSync(join(house.dir, "secrets.d", name), "utf8").trim();
const isThere = (house: Household, name: string): boolean => existsSync(join(house.dir, "secrets.d", name));

const statusOf = async (house: Household, name: string) => {
  const { stdout } = await rotate(house, ["status", name, "--json"]);
  return stdout === "" ? undefined : JSON.parse(stdout).secrets[0];
};

/** Whether every live gateway holds the staged value: from then on it is valid. */
async function isLoaded(house: Household, name: string): Promise<boolean> {
  const status = await statusOf(house, name);
  const ids: string[] = (status?.objections ?? [{ id: "not-told" }]).map(({ id }: { id: string }) => id);
  return !ids.some((id) => id.startsWith("not-") && id !== "not-used" && id !== "not-tried") && !ids.includes("stale");
}

const loaded = (house: Household, name: string) => eventually(`${name} to be loaded`, () => isLoaded(house, name));

/** Does it, or not, after a moment that nobody chose. */
async function perhaps(chance: () => number, likely: number, act: () => Promise<void>): Promise<void> {
  const [does, afterMs] = [chance() < likely, chance() * 250];
  if (!does) return;
  await new Promise((next) => setTimeout(next, afterMs));
  await act();
}

/** Kills a gateway, and starts the next one. */
async function reborn(house: Household, gateway: Process): Promise<Process & { url: string; admin: string }> {
  await gateway.kill9();
  return await house.serve();
}

/** Resolves when a Redis refuses a password. */
async function refusedBy(port: number, password: string): Promise<void> {
  const redis = new Redis({ port, host: "127.0.0.1", password, disableClientInfo: true, retryStrategy: null });
  redis.on("error", () => {});
  await eventually("the old password to be refused", () =>
    redis.ping().then(
      () => false,
      () => true,
    ),
  );
  redis.disconnect();
}

/** Says what was counted where more rounds than usual were asked for. */
function told(what: string, { sent, unheard, refused, lateAccepts }: Senders): void {
  if (process.env.ROTATE_ROUNDS === undefined) return;
  const counts = { sent, unheard, refused: refused.length, late: lateAccepts.length };
  process.stdout.write(`${what}: ${JSON.stringify(counts)}\n`);
}

test(
  `an inbound token: ${share(0.4)} rounds, seed ${seed}`,
  async () => {
    const chance = chanceFrom(seed);
    await using house = new Household({ config: { rotation: { undo_for: "1h" } } });
    let gateway = await house.serve();
    await using senders = new Senders(() => gateway.url, [valueIn(house, inbound)]);
    const mayKill = () =>
      perhaps(chance, 0.35, () => senders.lapse(async () => void (gateway = await reborn(house, gateway))));

    for (let round = 0; round < share(0.4); round++) {
      const old = valueIn(house, inbound);
      await rotate(house, ["start", inbound], { killing: chance });
      const fresh = valueIn(house, `${inbound}.next`);
      await mayKill();
      await loaded(house, inbound);
      senders.use([old, fresh]);
      await senders.taken(fresh, 5);
      senders.use([fresh]);
      await mayKill();
      await senders.taken(fresh, 5);
      // The gateway may be killed while the value is swapped.
      await Promise.all([rotate(house, ["commit", inbound, ...quiet], { killing: chance, until: 0 }), mayKill()]);
      await senders.refusedFor(old);

      if (chance() < 0.3) {
        await Promise.all([rotate(house, ["undo", inbound], { killing: chance }), mayKill()]);
        await senders.acceptedAgain(old);
        senders.use([old, fresh]);
        await senders.taken(old, 5);
        senders.use([fresh]);
        await senders.taken(fresh, 5);
        await rotate(house, ["commit", inbound, ...quiet], { killing: chance, until: 0 });
        await senders.refusedFor(old);
      }
      expect(valueIn(house, inbound)).toBe(fresh);
    }
    expect(senders.refused).toEqual([]);
    expect(senders.lateAccepts).toEqual([]);
    expect(senders.sent).toBeGreaterThan(20);
    told("an inbound token", senders);
  },
  patience,
);

test(
  `a token of Jira's REST: ${share(0.2)} rounds, seed ${seed}`,
  async () => {
    const chance = chanceFrom(seed + 1);
    const valid = new Set<string>();
    const takes = (header: string) => valid.has(atob(header.replace("Basic ", "")).split(":")[1] ?? "");
    using jira = openJira({ takes });
    await using house = new Household({ jira: jira.url, scripts: { "build-ios": "#!/bin/sh\nexit 1\n" } });
    valid.add(valueIn(house, rest));
    let gateway = await house.serve();
    await house.work();
    await using senders = new Senders(() => gateway.url, [valueIn(house, inbound)]);
    const mayKill = () =>
      perhaps(chance, 0.35, () => senders.lapse(async () => void (gateway = await reborn(house, gateway))));
    let issues = 0;
    const commented = async (): Promise<void> => {
      await senders.build(jiraBody(`MOB-${1000 + ++issues}`));
      await eventually("its comment", () => jira.comments.length >= issues);
    };

    for (let round = 0; round < share(0.2); round++) {
      const old = valueIn(house, rest);
      const fresh = createToken();
      // Staged before the other side knows it: the old one goes on working.
      await rotate(house, ["start", rest, "--stdin"], { killing: chance, stdin: fresh });
      await mayKill();
      await loaded(house, rest);
      await commented();
      expect((await rotate(house, ["commit", rest, ...quiet])).code).toBe(75);
      valid.add(fresh);
      await mayKill();
      await commented();
      // What a gateway saw in its last second dies with it; the next comment says it again.
      const killed = mayKill().then(commented);
      await Promise.all([rotate(house, ["commit", rest, ...quiet], { killing: chance, until: 0 }), killed]);
      valid.delete(old);
      await commented();
    }
    expect(jira.comments).toHaveLength(issues);
    expect(senders.refused).toEqual([]);
    told("a token of Jira's REST", senders);
  },
  patience,
);

test(
  `a password of Redis: ${share(0.2)} rounds, seed ${seed}`,
  async () => {
    const chance = chanceFrom(seed + 2);
    const password = "redis/gateway.password";
    const first = createToken();
    const redis = await startRedis({ appendfsync: "always", requirepass: first });
    const operator = new Redis({ port: redis.port, host: "127.0.0.1", password: first, disableClientInfo: true });
    operator.on("error", () => {});
    const digest = (text: string) => new Bun.CryptoHasher("sha256").update(text).digest("hex");
    try {
      await using house = new Household({
        store: `redis://127.0.0.1:${redis.port}/0`,
        config: { store_password: password },
      });
      house.secret(password, first);
      let gateway: Process & { url: string } = await house.serve();
      await using senders = new Senders(() => gateway.url, [valueIn(house, inbound)]);
      const mayKill = (likely: number) =>
        perhaps(chance, likely, () => senders.lapse(async () => void (gateway = await reborn(house, gateway))));
      for (let round = 0; round < share(0.2); round++) {
        // One kill in a round at most, at any of its steps. Before the commit it makes that wait for half a minute: where
        // nobody asked for more rounds, it comes after it.
        const [kills, at] = [chance() < 0.4 || round === 0, Math.floor(chance() * 4)];
        const killAt = kills ? (process.env.ROTATE_ROUNDS === undefined ? 3 : at) : null;
        const step = (at: number) => mayKill(at === killAt ? 1 : 0);
        const old = valueIn(house, password);
        await rotate(house, ["start", password], { killing: chance });
        await step(0);
        const fresh = valueIn(house, `${password}.next`);
        await eventually("the staged password to be loaded", () => isLoaded(house, password), mourning);
        expect((await rotate(house, ["commit", password, ...quiet])).code).toBe(75);
        await operator.call("ACL", "SETUSER", "default", `#${digest(fresh)}`);
        await step(1);
        const committing = rotate(house, ["commit", password, ...quiet], {
          killing: chance,
          until: 0,
          within: mourning,
        });
        await Promise.all([committing, step(2)]);
        await step(3);
        await operator.call("ACL", "SETUSER", "default", `!${digest(old)}`);
        await refusedBy(redis.port, old);
        // A gateway that starts now knows only the new one; the one before is gone, its connections are not.
        await senders.pause();
        await gateway.stop();
        gateway = await house.serve();
        senders.resume();
        await senders.taken(valueIn(house, inbound), 20);
        expect(isThere(house, `${password}.next`)).toBe(false);
      }
      expect(senders.refused).toEqual([]);
      told("a password of Redis", senders);
    } finally {
      operator.disconnect();
      await redis.stop();
    }
  },
  patience,
);

test.skipIf(Bun.which("openssl") === null)(
  `the certificate: ${share(0.2)} rounds, seed ${seed}`,
  async () => {
    const chance = chanceFrom(seed + 3);
    await using house = new Household({
      config: {
        gateway: {
          listen: "127.0.0.1:0",
          admin: { listen: "127.0.0.1:0" },
          drain_delay: "0s",
          tls: { cert: "tls/cert.pem", key: "tls/key.pem" },
        },
      },
    });
    const pairIn = (name: string): Certified => {
      mkdirSync(join(house.dir, name), { mode: 0o700 });
      return certify(join(house.dir, name));
    };
    const read = (path: string) => readFileSync(path, "utf8");
    let old = pairIn("tls");
    let gateway = await house.serve();
    await using senders = new Senders(() => gateway.url, [valueIn(house, inbound)], [read(old.ca_file)]);
    const mayKill = () =>
      perhaps(chance, 0.35, () => senders.lapse(async () => void (gateway = await reborn(house, gateway))));
    const shown = () => shownAt(Number(new URL(gateway.url).port)).catch(() => null);
    const print = ({ cert }: { cert: string }) => new X509Certificate(cert).fingerprint256;
    /** Looks at each new connection until the wanted one is shown; a second after its commit none may show another. */
    const showsOnly = async (wanted: string): Promise<void> => {
      const committedAt = performance.now();
      for (let right = 0; right < 3;) {
        const begunAt = performance.now();
        const print = await shown();
        if (print === wanted) right++;
        else if (print !== null && begunAt - committedAt >= 1000) {
          senders.lateAccepts.push(`${Math.round(begunAt - committedAt)} ms after the commit`);
          return;
        }
        await new Promise((next) => setTimeout(next, 50));
      }
    };

    for (let round = 0; round < share(0.2); round++) {
      const before = await shown();
      const fresh = pairIn(`pair-${round}`);
      const [cert, key] = [read(fresh.cert), read(fresh.key)];
      senders.trust([read(old.ca_file), read(fresh.ca_file)]);
      await rotate(house, ["start", "tls", "--stdin"], { killing: chance, stdin: `${cert}${key}` });
      await mayKill();
      expect(await shown()).toBe(before);
      await Promise.all([rotate(house, ["commit", "tls"], { killing: chance, until: 0 }), mayKill()]);
      await showsOnly(print({ cert }));
      await eventually("status to tick it off", async () => {
        const { current, gateways, steps } = await statusOf(house, "tls");
        const holds = gateways.map(({ loaded }: { loaded: { key_id: string }[] | null }) => loaded?.[0]?.key_id);
        const isServed = steps.some(
          ({ say, done }: { say: string; done: boolean | null }) => /shows it/.test(say) && done,
        );
        return isServed && holds.length === 1 && holds[0] === current.key_id;
      });
      if (chance() < 0.3) {
        await Promise.all([rotate(house, ["undo", "tls"], { killing: chance }), mayKill()]);
        await showsOnly(before ?? "");
        await Promise.all([rotate(house, ["commit", "tls"], { killing: chance, until: 0 }), mayKill()]);
        await showsOnly(print({ cert }));
      }
      // Whoever knows only the new authority is served: nobody shows the old one any more.
      senders.trust([read(fresh.ca_file)]);
      await senders.taken(valueIn(house, inbound), 10);
      old = fresh;
    }
    expect(senders.refused).toEqual([]);
    expect(senders.lateAccepts).toEqual([]);
    expect(senders.sent).toBeGreaterThan(20);
    told("the certificate", senders);
  },
  patience,
);
