import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "../../src/core/error.ts";
import type { Report } from "../../src/core/records.ts";
import type { Entry, Store } from "../../src/stores/store.ts";
import { butFor, eventually, type Gatehouse, openGatehouse, tokens, wanted, type Wishes } from "./gatehouse.ts";

const gone = () => Promise.reject(new MeshError("unavailable", "redis at redis.example did not answer"));

setDefaultTimeout(60_000); // every spooled delivery waits for the disk

/** A store that goes away and comes back as a test says, and remembers in which order tasks entered it. */
function faulty() {
  const state = { away: false, poison: new Set<string>(), entered: [] as string[], attempts: 0 };
  const wrap = (store: Store): Store => {
    return butFor(store, {
      check: () => (state.away ? gone() : store.check()),
      report: (report: Report) => (state.away ? gone() : store.report(report)),
      async accept(entry: Entry) {
        state.attempts++;
        if (state.away) return await gone();
        const { issue_key } = entry.task;
        if (state.poison.has(issue_key)) throw new MeshError("data", "the store refused a record");
        const said = await store.accept(entry);
        if (said.status === "queued") state.entered.push(issue_key);
        return said;
      },
    });
  };
  return { state, wrap };
}

const keysOf = (count: number, from = 1) => Array.from({ length: count }, (_, i) => `MOB-${from + i}`);
const statusesOf = (answers: { body: { status?: unknown } }[]) => new Set(answers.map(({ body }) => body.status));
const empty = (house: Gatehouse) =>
  eventually("an empty spool", () => {
    const { waiting, away } = house.server.spool();
    return waiting === 0 && !away;
  });

async function open(wishes: Wishes = {}) {
  const { state, wrap } = faulty();
  const house = await openGatehouse({ wrap, commitWithin: 5000, ...wishes });
  return Object.assign(house, { faults: state });
}

describe("while the store is away", () => {
  test("deliveries wait in the order they came, and enter the store in it, those behind them too", async () => {
    await using house = await open();
    house.faults.away = true;
    const first = [];
    for (const key of keysOf(10)) first.push(await house.deliver(wanted(key)));
    expect(statusesOf(first)).toEqual(new Set(["stored"]));
    house.faults.away = false;
    const later = [];
    for (const key of keysOf(10, 11)) later.push(await house.deliver(wanted(key)));
    await empty(house);
    expect(house.faults.entered).toEqual(keysOf(20));
    let next = 21;
    await eventually(
      "the straight way again",
      async () => (await house.deliver(wanted(`MOB-${next++}`))).body.status === "queued",
    );
  });

  test("those that wait for its answer are spooled at once, before those that come later", async () => {
    const answers = new Map<string, PromiseWithResolvers<never>>();
    const entered: string[] = [];
    let hanging = true;
    await using house = await openGatehouse({
      commitWithin: 60_000,
      wrap: (store) =>
        butFor(store, {
          accept: (entry) => {
            if (!hanging) {
              entered.push(entry.task.issue_key);
              return store.accept(entry);
            }
            answers.set(entry.task.issue_key, Promise.withResolvers<never>());
            return answers.get(entry.task.issue_key)?.promise ?? Promise.reject(new Error("no promise"));
          },
        }),
    });
    const waiting = [];
    for (const key of keysOf(3)) {
      waiting.push(house.deliver(wanted(key)));
      await eventually(`${key} at the store`, () => answers.has(key));
    }
    answers.get("MOB-2")?.reject(new MeshError("unavailable", "the line broke"));
    expect(statusesOf(await Promise.all(waiting))).toEqual(new Set(["stored"]));
    await house.deliver(wanted("MOB-4"));
    hanging = false;
    // The forwarder's own try hangs as well, until the line of that one breaks too.
    await eventually("all four in the store", () => {
      for (const { reject } of answers.values()) reject(new MeshError("unavailable", "the line broke"));
      return entered.length === 4;
    });
    expect(entered).toEqual(keysOf(4));
  });

  test("what they are deduplicated by is when they were first seen, and a duplicate is noted", async () => {
    let now = 1_795_000_000_000;
    await using house = await open({ now: () => now });
    house.faults.away = true;
    await house.deliver(wanted("MOB-1"));
    now += 60_000;
    const second = await house.deliver(wanted("MOB-1"));
    now += 6 * 60_000; // beyond the five minutes of the first
    await house.deliver(wanted("MOB-1"));
    house.faults.away = false;
    await empty(house);
    expect((await house.store.list({ limit: 9 })).runs).toHaveLength(2);
    const notes = await eventually("the note", async () => {
      const found = await house.store.deliveries(9, "duplicate");
      return found.length > 0 && found;
    });
    expect(notes).toMatchObject([
      { correlation_id: second.body.correlation_id, issue_key: "MOB-1", at: 1_795_000_060_000 },
    ]);
  });

  test("no secret of ours is in the spool, whatever a summary says", async () => {
    await using house = await open();
    house.faults.away = true;
    await house.deliver(wanted("MOB-1", { summary: `token ${tokens.jira}` }));
    const room = join(house.dir, "state/spool/1");
    const [file = ""] = readdirSync(room).filter((name) => name.endsWith(".line"));
    const text = readFileSync(join(room, file), "utf8");
    expect(text).toContain("MOB-1");
    expect(text).not.toContain(tokens.jira);
  });

  test("nobody is asked more often because more is delivered", async () => {
    await using house = await open();
    house.faults.away = true;
    await house.deliver(wanted("MOB-0"));
    const before = house.faults.attempts;
    await Promise.all(keysOf(300).map((key) => house.deliver(wanted(key))));
    expect(house.faults.attempts - before).toBeLessThan(30);
  });
});

describe("what the spool forwards", () => {
  test("is set aside where the store refuses it, noted, and holds up nobody", async () => {
    await using house = await open();
    house.faults.away = true;
    for (const key of keysOf(5)) await house.deliver(wanted(key));
    house.faults.poison.add("MOB-3");
    house.faults.away = false;
    await empty(house);
    expect(house.faults.entered).toEqual(["MOB-1", "MOB-2", "MOB-4", "MOB-5"]);
    expect(house.server.spool().refused).toBe(1);
    const refused = join(house.dir, "state/spool/refused");
    const [file = ""] = readdirSync(refused);
    expect(readFileSync(join(refused, file), "utf8")).toContain('"issue_key":"MOB-3"');
    const notes = await eventually("the note", async () => {
      const found = await house.store.deliveries(9, "refused");
      return found.length > 0 && found;
    });
    expect(notes).toMatchObject([{ issue_key: "MOB-3", reason: "the store refused a record" }]);
  });
});

describe("the rate of a source", () => {
  test("spools what is above it and forwards it in order, without holding back other sources", async () => {
    await using house = await open({ jira: { rate: "5/m" } });
    const answers = [];
    for (const key of keysOf(9)) answers.push(await house.deliver(wanted(key)));
    expect(answers.map(({ body }) => body.status).slice(0, 5)).toEqual(Array.from({ length: 5 }, () => "queued"));
    expect(answers.map(({ body }) => body.status).slice(5)).toEqual(Array.from({ length: 4 }, () => "stored"));
    expect(house.server.spool().waiting).toBeGreaterThan(0);
    const other = await fetch(`${house.server.publicUrl}/youtrack/webhook`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-youtrack-token": tokens.youtrack },
      body: JSON.stringify({
        event: "issueUpdated",
        id: "APP-1",
        summary: "Ship it",
        project: { key: "APP", name: "App", shortName: "APP" },
        changedFields: [{ name: "Stage", value: { name: "Building" } }],
      }),
    });
    expect(await other.json()).toMatchObject({ status: "queued" });
    // Its own order holds, and nothing is wrong with the gateway.
    expect((await fetch(`${house.server.publicUrl}/readyz`)).status).toBe(200);
    const { jira, ...others } = house.config.sources;
    if (!jira) throw new Error("no door");
    house.server.ready({ ...house.config, sources: { jira: { ...jira, rate: "600/s" }, ...others } })();
    await empty(house);
    expect(house.faults.entered.filter((key) => key !== "APP-1")).toEqual(keysOf(9));
  });

  test("that is taken away while deliveries wait lets none overtake them", async () => {
    await using house = await open({ jira: { rate: "2/m" } });
    for (const key of keysOf(8)) await house.deliver(wanted(key));
    const { jira, ...others } = house.config.sources;
    if (!jira) throw new Error("no door");
    house.server.ready({ ...house.config, sources: { jira: { ...jira, rate: undefined }, ...others } })();
    for (const key of keysOf(8, 9)) await house.deliver(wanted(key));
    await empty(house);
    expect(house.faults.entered).toEqual(keysOf(16));
    let next = 17;
    await eventually(
      "the straight way again",
      async () => (await house.deliver(wanted(`MOB-${next++}`))).body.status === "queued",
    );
  });

  test("lets nothing through faster than it says", async () => {
    await using house = await open({ jira: { rate: "20/s" } });
    const from = performance.now();
    await Promise.all(keysOf(40).map((key) => house.deliver(wanted(key))));
    await empty(house);
    // Twenty at once, twenty more at twenty a second: a slow machine only adds to that.
    expect(performance.now() - from).toBeGreaterThan(900);
    expect(house.faults.entered).toHaveLength(40);
  });
});
