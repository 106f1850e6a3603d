import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { createToken } from "../../src/secrets.ts";
import { startRedis } from "../fakes/redis-server.ts";
import { openJira } from "../fakes/tracker.ts";
import { eventually, Household, jiraBody, type Process } from "./household.ts";
import { chanceFrom, rotate, Senders } from "./rotating.ts";

// Rotations under load, with kill -9 of `rotate` and of the gateway at random moments: nobody who has a valid token is
// refused, whoever has only the old one is, and at no moment is no value accepted. ROTATE_ROUNDS=200 runs more, ROTATE_SEED another sequence.

const rounds = Number(process.env.ROTATE_ROUNDS ?? 10);
const seed = Number(process.env.ROTATE_SEED ?? 4711);
const share = (part: number): number => Math.max(1, Math.round(rounds * part));
const patience = 60_000 + rounds * 60_000;

const inbound = "jira/inbound.token";
const rest = "jira/rest.token";
const quiet = ["--quiet", "1s"];

const valueIn = (house: Household, name: string): string =>
  readFileSync(join(house.dir, "secrets.d", name), "utf8").trim();
const isThere = (house: Household, name: string): boolean => existsSync(join(house.dir, "secrets.d", name));

/** Waits until every live gateway holds the staged value: from then on it is valid. */
const loaded = (house: Household, name: string) =>
  eventually(`${name} to be loaded`, async () => {
    const { stdout } = await rotate(house, ["status", name, "--json"]);
    const [status] = stdout === "" ? [] : JSON.parse(stdout).secrets;
    const ids: string[] = (status?.objections ?? [{ id: "not-told" }]).map(({ id }: { id: string }) => id);
    return (
      !ids.some((id) => id.startsWith("not-") && id !== "not-used" && id !== "not-tried") && !ids.includes("stale")
    );
  });

test(
  `an inbound token: ${share(0.6)} rounds, seed ${seed}`,
  async () => {
    const chance = chanceFrom(seed);
    await using house = new Household({ config: { rotation: { undo_for: "1h" } } });
    let gateway = await house.serve();
    await using senders = new Senders(() => gateway.url, [valueIn(house, inbound)]);
    const restart = async (): Promise<void> => {
      if (chance() < 0.5) return;
      await gateway.kill9();
      gateway = await house.serve();
    };

    for (let round = 0; round < share(0.6); round++) {
      const old = valueIn(house, inbound);
      await rotate(house, ["start", inbound], { killing: chance });
      const fresh = valueIn(house, `${inbound}.next`);
      await restart();
      await loaded(house, inbound);
      senders.use([old, fresh]);
      await senders.taken(fresh, 5);
      senders.use([fresh]);
      await restart();
      await senders.taken(fresh, 5);
      await rotate(house, ["commit", inbound, ...quiet], { killing: chance, until: 0 });
      await senders.refusedFor(old);

      if (chance() < 0.3) {
        await rotate(house, ["undo", inbound], { killing: chance });
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
    expect(senders.sent).toBeGreaterThan(100);
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
      await loaded(house, rest);
      await commented();
      expect((await rotate(house, ["commit", rest, ...quiet])).code).toBe(75);
      valid.add(fresh);
      if (chance() < 0.5) {
        await gateway.kill9();
        gateway = await house.serve();
      }
      await commented();
      await rotate(house, ["commit", rest, ...quiet], { killing: chance, until: 0 });
      valid.delete(old);
      await commented();
    }
    expect(jira.comments).toHaveLength(issues);
    expect(senders.refused).toEqual([]);
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
      for (let round = 0; round < share(0.2); round++) {
        const old = valueIn(house, password);
        await rotate(house, ["start", password], { killing: chance });
        const fresh = valueIn(house, `${password}.next`);
        await loaded(house, password);
        expect((await rotate(house, ["commit", password, ...quiet])).code).toBe(75);
        await operator.call("ACL", "SETUSER", "default", `#${digest(fresh)}`);
        await rotate(house, ["commit", password, ...quiet], { killing: chance, until: 0 });
        await operator.call("ACL", "SETUSER", "default", `!${digest(old)}`);
        // A gateway that starts now knows only the new one; the one before is gone, its connections are not.
        // Killed only at the end: for 30 s after a kill a commit would wait for what that gateway knew.
        await senders.pause();
        if (round === share(0.2) - 1) await gateway.kill9();
        else await gateway.stop();
        gateway = await house.serve();
        senders.resume();
        await senders.taken(valueIn(house, inbound), 20);
        expect(isThere(house, `${password}.next`)).toBe(false);
      }
      expect(senders.refused).toEqual([]);
    } finally {
      operator.disconnect();
      await redis.stop();
    }
  },
  patience,
);
