import { expect, test } from "bun:test";
import { MeshError } from "../../src/core/error.ts";
import { Canaries } from "../../src/gateway/canary.ts";
import { butFor, eventually, openGatehouse, tokens, wanted, withoutSpool } from "./gatehouse.ts";

const probe = { "X-Meshmac-Probe": "1" };

test("a canary is answered as a delivery is, and nothing of it is kept", async () => {
  await using house = await openGatehouse();
  const answers = [
    await house.deliver(wanted(), probe),
    await house.deliver(wanted(), probe),
    await house.deliver(wanted("MOB-13", { status: { name: "Done" } }), probe),
    await house.deliver("{", probe),
  ];
  expect(answers.map(({ status, body }) => [status, body.status ?? body.error])).toEqual([
    [200, "queued"],
    [200, "duplicate"],
    [200, "ignored"],
    [400, "not valid JSON"],
  ]);
  expect(answers.slice(0, 3).map(({ body }) => body.canary)).toEqual([true, true, true]);
  expect(answers[1]?.body.run_id).toBe(String(answers[0]?.body.run_id));
  // A real delivery that is ignored is noted after all of these: once its note is there, theirs would be too.
  await house.deliver(wanted("MOB-14", { status: { name: "Done" } }));
  const notes = await eventually("the note", async () => {
    const found = await house.store.deliveries(10, "ignored");
    return found.length > 0 && found;
  });
  expect(notes.map(({ issue_key }) => issue_key)).toEqual(["MOB-14"]);
  expect((await house.store.list({ limit: 5 })).runs).toEqual([]);
  expect(await house.store.deliveries(10, "refused")).toEqual([]);
  expect(house.server.spool()).toMatchObject({ waiting: 0 });
  expect(house.steps.map(({ issue_key }) => issue_key)).toEqual(["MOB-14"]);
});

test("the marks of canaries and of deliveries are apart", async () => {
  await using house = await openGatehouse();
  expect((await house.deliver(wanted(), probe)).body.status).toBe("queued");
  const real = await house.deliver(wanted());
  expect(real.body).toMatchObject({ status: "queued" });
  expect((await house.store.list({ limit: 5 })).runs.map(({ run_id }) => run_id)).toEqual([String(real.body.run_id)]);
  expect((await house.deliver(wanted("MOB-15"))).body.status).toBe("queued");
  expect((await house.deliver(wanted("MOB-15"), probe)).body.status).toBe("queued");
});

test("a canary without the right token is a stranger like any other", async () => {
  await using house = await openGatehouse();
  const wrong = { "x-meshmac-jira-token": `${tokens.jira}0` };
  const [canary, other] = [await house.deliver(wanted(), { ...probe, ...wrong }), await house.deliver(wanted(), wrong)];
  expect([canary.status, canary.body.error]).toEqual([401, "unauthorized"]);
  expect(Object.keys(canary.body)).toEqual(Object.keys(other.body));
});

test("another value of the header makes no canary", async () => {
  await using house = await openGatehouse();
  const { body } = await house.deliver(wanted(), { "X-Meshmac-Probe": "0" });
  expect(await house.store.show(String(body.run_id))).not.toBeNull();
});

test("a canary of an issue that was dragged out is answered as a delivery is, and ends nothing", async () => {
  const cancelling = { cancel_when: [{ status: "To Do" }] };
  await using house = await openGatehouse({ jira: cancelling });
  const { body } = await house.deliver();
  const out = await house.deliver(wanted("MOB-12", { status: { name: "To Do" } }), probe);
  expect([out.status, out.body]).toMatchObject([
    200,
    { status: "ignored", reason: "cancel_when matched, and no run was queued", canary: true },
  ]);
  expect((await house.store.show(String(body.run_id)))?.run.state).toBe("queued");
  const gone = () => Promise.reject(new MeshError("unavailable", "away"));
  await using away = await openGatehouse({ jira: cancelling, wrap: (store) => butFor(store, { check: gone }) });
  const kept = await away.deliver(wanted("MOB-12", { status: { name: "To Do" } }), probe);
  expect([kept.status, kept.body.status, away.server.spool().waiting]).toEqual([200, "stored", 0]);
});

test("a canary says what a delivery would find where the store is away", async () => {
  const away = () => Promise.reject(new MeshError("unavailable", "away"));
  await using spooling = await openGatehouse({ wrap: (store) => butFor(store, { check: away }) });
  const stored = await spooling.deliver(wanted(), probe);
  expect([stored.status, stored.body.status]).toEqual([200, "stored"]);
  expect(spooling.server.spool().waiting).toBe(0);
  await using full = await openGatehouse({ wrap: (store) => butFor(store, { check: away }), prepare: withoutSpool });
  expect((await full.deliver(wanted(), probe)).status).toBe(503);
});

test("a canary's marks live sixty seconds, and the oldest make room", async () => {
  let at = 1_000_000;
  const canaries = new Canaries({ writable: async () => true, spools: async () => false, now: () => at });
  const report = (id: string) =>
    canaries.report({
      source: "ci",
      workflow: "nightly",
      state: "failed",
      branch: "main",
      commit: null,
      run_url: null,
      mesh_node_id: null,
      provider_run_id: id,
      failing_target: null,
    });
  expect([await report("1"), await report("1")]).toEqual(["new", "seen"]);
  at += 59_999;
  expect(await report("1")).toBe("seen");
  at += 1;
  expect(await report("1")).toBe("new");
  for (let n = 2; n <= 1001; n++) await report(String(n));
  expect([await report("1001"), await report("1")]).toEqual(["seen", "new"]);
});

test("a canary is no use of its token: a rotation waits for the sender itself", async () => {
  await using house = await openGatehouse();
  const counts = () => house.vault.uses().find(({ secret }) => secret === "jira/inbound.token")?.count;
  await house.deliver(wanted(), probe);
  await house.deliver(wanted(), { ...probe, "x-meshmac-jira-token": `${tokens.jira}0` });
  expect(counts()).toBe(0);
  await house.deliver(wanted());
  expect(counts()).toBe(1);
});
