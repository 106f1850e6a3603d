import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { MeshError } from "../../src/core/error.ts";
import type { Entry, Store } from "../../src/stores/store.ts";
import { butFor, eventually, type Gatehouse, openGatehouse, tokens, wanted, withoutSpool } from "./gatehouse.ts";

setDefaultTimeout(60_000); // a spooled delivery waits for the disk

const gone = () => Promise.reject(new MeshError("unavailable", "redis at redis.example did not answer"));
const task = { script: "build-ios", lane: "ios", repo: "app", ref: { from: "fields.branch", default: "main" } };
const debounced = { debounce: "1h", task };
const onBranch = (branch: string, key = "MOB-12") => wanted(key, { branch });
const draggedOut = (key = "MOB-12") => wanted(key, { status: { name: "To Do" } });

const shown = async (house: Gatehouse, run_id: unknown) => (await house.store.show(String(run_id)))?.run;
const runsOf = async (house: Gatehouse) => (await house.store.list({ limit: 50 })).runs;

/** A store that goes away and comes back as a test says, and remembers what entered it. */
function faulty() {
  const faults = { away: false, entered: [] as Entry[] };
  const unlessAway = <T>(ask: () => Promise<T>): Promise<T> => (faults.away ? gone() : ask());
  const wrap = (store: Store): Store =>
    butFor(store, {
      check: () => unlessAway(() => store.check()),
      callOff: (...asked) => unlessAway(() => store.callOff(...asked)),
      accept: (entry) =>
        unlessAway(() => {
          faults.entered.push(entry);
          return store.accept(entry);
        }),
    });
  return { faults, wrap };
}

describe("a source with debounce", () => {
  test("answers every move of an issue with the one run that builds the last of them", async () => {
    await using house = await openGatehouse({ jira: debounced });
    const answers = [];
    for (const branch of ["a", "b", "c"]) answers.push(await house.deliver(onBranch(branch)));
    const [run, ...others] = await runsOf(house);
    expect(others).toEqual([]);
    expect(answers.map(({ status, body }) => [status, body.status, body.run_id])).toEqual(
      Array.from({ length: 3 }, () => [200, "queued", String(run?.run_id)]),
    );
    expect(run).toMatchObject({ state: "queued", ref: "c", reason: expect.stringContaining("debounced: waits until") });
    expect((await house.deliver(onBranch("c"))).body).toMatchObject({ status: "duplicate", run_id: run?.run_id });
    expect((await house.deliver(onBranch("a"))).body).toMatchObject({ status: "queued", run_id: run?.run_id });
  });

  test("ends what waits when the issue leaves the build state, and builds it when it comes again", async () => {
    await using house = await openGatehouse({ jira: debounced });
    const { body } = await house.deliver();
    const other = await house.deliver(wanted("MOB-13"));
    const out = await house.deliver(draggedOut());
    const why = 'status is "To Do", wanted "Building"';
    expect([out.status, out.body.status, out.body.reason]).toEqual([
      200,
      "ignored",
      `cancelled run ${body.run_id}: no build_when entry matched: ${why}`,
    ]);
    expect(await shown(house, body.run_id)).toMatchObject({ state: "cancelled", reason: `issue withdrawn: ${why}` });
    expect(await shown(house, other.body.run_id)).toMatchObject({ state: "queued" });
    expect((await house.deliver(draggedOut())).body.reason).toBe(`no build_when entry matched: ${why}`);
    const again = await house.deliver();
    expect(again.body.status).toBe("queued");
    expect(again.body.run_id).not.toBe(String(body.run_id));
  });

  test("leaves no secret of ours in the reason, whoever called a status so", async () => {
    await using house = await openGatehouse({ jira: debounced });
    const { body } = await house.deliver();
    await house.deliver(wanted("MOB-12", { status: { name: tokens.jira } }));
    const run = await shown(house, body.run_id);
    expect(run?.state).toBe("cancelled");
    expect(run?.reason).not.toContain(tokens.jira);
  });

  test("leaves alone what waits for no later move", async () => {
    await using house = await openGatehouse({ jira: { ...debounced, debounce: "1ms" } });
    const { body } = await house.deliver();
    await eventually("the end of the wait", async () => (await shown(house, body.run_id))?.reason === null);
    expect((await house.deliver(draggedOut())).body.reason).toStartWith("no build_when entry matched");
    expect(await shown(house, body.run_id)).toMatchObject({ state: "queued" });
  });

  test("asks the store nothing where it is not set", async () => {
    const asked: string[] = [];
    await using house = await openGatehouse({
      wrap: (store) => butFor(store, { callOff: async () => (asked.push("callOff"), null) }),
    });
    await house.deliver(draggedOut());
    await house.deliver();
    expect(asked).toEqual([]);
    const [run] = await runsOf(house);
    expect(run?.reason).toBeNull();
  });

  test("ends nothing for a canary", async () => {
    await using house = await openGatehouse({ jira: debounced });
    const { body } = await house.deliver();
    const canary = await house.deliver(draggedOut(), { "X-Meshmac-Probe": "1" });
    expect(canary.body).toMatchObject({ status: "ignored", canary: true });
    expect((await house.deliver(onBranch("x"), { "X-Meshmac-Probe": "1" })).body.status).toBe("queued");
    expect(await shown(house, body.run_id)).toMatchObject({ state: "queued", ref: "main" });
  });

  test("asks a sender to come again where neither store nor spool heard that an issue left", async () => {
    const { faults, wrap } = faulty();
    await using house = await openGatehouse({ jira: debounced, wrap, prepare: withoutSpool });
    faults.away = true;
    expect((await house.deliver(draggedOut())).status).toBe(503);
  });
});

describe("behind the spool", () => {
  test("a later move takes its place, and what left is cancelled, as if the store had been there", async () => {
    const { faults, wrap } = faulty();
    await using house = await openGatehouse({ jira: { ...debounced, debounce: "3s" }, wrap });
    faults.away = true;
    for (const body of [onBranch("a"), onBranch("b"), onBranch("z", "MOB-13"), draggedOut("MOB-13")])
      expect((await house.deliver(body)).body.status).toBe("stored");
    faults.away = false;
    await eventually("an empty spool", () => house.server.spool().waiting === 0);
    const runs = await runsOf(house);
    expect(runs.map(({ issue_key, ref, state }) => [issue_key, ref, state])).toEqual([
      ["MOB-13", "z", "cancelled"],
      ["MOB-12", "b", "queued"],
    ]);
  });

  test("what has waited long enough there waits no more", async () => {
    const { faults, wrap } = faulty();
    let ahead = 0;
    const now = () => Date.now() + ahead;
    await using house = await openGatehouse({ jira: { ...debounced, debounce: "1h" }, wrap, now });
    faults.away = true;
    expect((await house.deliver()).body.status).toBe("stored");
    ahead = 40 * 60_000;
    faults.away = false;
    await eventually("an empty spool", () => house.server.spool().waiting === 0);
    const [entry] = faults.entered;
    expect(entry?.debounce?.wait_ms).toBeWithin(19 * 60_000, 20 * 60_000 + 1);
    faults.away = true;
    expect((await house.deliver(wanted("MOB-13"))).body.status).toBe("stored");
    ahead += 61 * 60_000;
    faults.away = false;
    await eventually("an empty spool", () => house.server.spool().waiting === 0);
    const [run] = (await house.store.list({ issue_key: "MOB-13", limit: 1 })).runs;
    expect(run).toMatchObject({ state: "queued", reason: null });
  });

  test("a later move takes its place although the wait was over before the store came back", async () => {
    const { faults, wrap } = faulty();
    let ahead = 0;
    const now = () => Date.now() + ahead;
    await using house = await openGatehouse({ jira: { ...debounced, debounce: "1m" }, wrap, now });
    faults.away = true;
    for (const body of [onBranch("a"), onBranch("b")]) await house.deliver(body);
    ahead = 10 * 60_000;
    faults.away = false;
    await eventually("an empty spool", () => house.server.spool().waiting === 0);
    expect((await runsOf(house)).map(({ ref, state }) => [ref, state])).toEqual([["b", "queued"]]);
  });

  test("moves above the rate go into the run that waits", async () => {
    await using house = await openGatehouse({ jira: { ...debounced, rate: "2/s" } });
    const answers = [];
    for (const branch of ["a", "b", "c", "d", "e", "f"]) answers.push(await house.deliver(onBranch(branch)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200]);
    expect(answers.map(({ body }) => body.status)).toContain("stored");
    await eventually("an empty spool", () => house.server.spool().waiting === 0);
    const runs = await runsOf(house);
    expect(runs.map(({ run_id, ref, state }) => [run_id, ref, state])).toEqual([
      [String(answers[0]?.body.run_id), "f", "queued"],
    ]);
  });

  test("what the door ignores uses nothing of the rate, and goes behind what waits for it", async () => {
    await using house = await openGatehouse({ jira: { ...debounced, rate: "1/m" } });
    for (let i = 0; i < 5; i++) expect((await house.deliver(draggedOut())).body.status).toBe("ignored");
    expect((await house.deliver()).body.status).toBe("queued");
    expect((await house.deliver(wanted("MOB-13"))).body.status).toBe("stored");
    expect((await house.deliver(draggedOut("MOB-13"))).body.status).toBe("stored");
  });
});
