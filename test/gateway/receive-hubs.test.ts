import { describe, expect, test } from "bun:test";
import { configFrom } from "../../src/config.ts";
import type { Json, JsonObject } from "../../src/core/json.ts";
import { provenHeaders } from "../../src/core/verify.ts";
import { gitlab, standardWebhooks } from "../../src/core/verify-presets.ts";
import { openGateway } from "../../src/gateway/gateway.ts";
import { openServer } from "../../src/gateway/server.ts";
import { sources } from "../../src/sources/registry.ts";
import { openSqlite } from "../../src/stores/sqlite.ts";
import type { Store } from "../../src/stores/store.ts";
import { Folder } from "../config/folder.ts";
import { butFor, eventually, told } from "./gatehouse.ts";

const secret = `whsec_${Buffer.from("a key of forty bytes, for the tests only").toString("base64")}`;
const door = { path: "/hub", token: "hub/inbound.token" };

/** A gateway's doors over a real store, one source of the kind that is asked for. */
async function open(source: JsonObject, { gateway = {}, wrap = (store: Store) => store } = {}) {
  const folder = new Folder();
  folder.write("secrets.d/hub/inbound.token", secret);
  const listen = { listen: "127.0.0.1:0", admin: { listen: "127.0.0.1:0" }, ...gateway };
  const { config, vault } = configFrom(
    { gateway: listen, sources: { hub: { ...door, ...source } } },
    { base: folder.path, env: {} },
  );
  const store = await openSqlite({ path: `${folder.path}/meshmac.db`, state_dir: folder.path, role: "owner" });
  const server = await openServer({ config, vault, store: wrap(store), commitWithin: 500 });
  const entry = config.sources.hub;
  const verify = sources.find(({ kind }) => kind === source.kind)?.verify(entry ?? {});
  if (!entry || !verify) throw new Error("no such source");
  const post = (body: string, headers: Record<string, string>) =>
    told(
      fetch(`${server.publicUrl}/hub`, {
        method: "POST",
        body,
        headers: { "content-type": "application/json", ...headers },
      }),
    );
  const deliver = (body: Json, headers: Record<string, string> = {}) => {
    const text = JSON.stringify(body);
    return post(text, { ...provenHeaders(verify, secret, { body: text, id: "msg_1", now: Date.now() }), ...headers });
  };
  const close = async () => {
    await server.stop();
    await store.close();
    folder[Symbol.dispose]();
  };
  return { deliver, post, store, server, folder, [Symbol.asyncDispose]: close };
}

const ci = { kind: "webhook", report: {} };
const finished = { workflow: "nightly", state: "failed", branch: "main", provider_run_id: "512" };

describe("a report", () => {
  test("is stored once and queues nothing; its answer has no run_id", async () => {
    await using house = await open(ci);
    const [first, again] = [await house.deliver(finished), await house.deliver(finished)];
    expect([first.status, again.status]).toEqual([200, 200]);
    expect(first.body).toEqual({ status: "stored", report: "hub/512", correlation_id: expect.any(String) });
    expect(again.body).toEqual({ status: "duplicate", report: "hub/512", correlation_id: expect.any(String) });
    expect((await house.store.list({ limit: 5 })).runs).toEqual([]);
    expect(await house.store.events(10)).toMatchObject([
      { subject: "hub/512", state: "failed", report: { source: "hub", workflow: "nightly" } },
    ]);
  });

  test("of a hundred at once is announced once", async () => {
    await using house = await open(ci);
    const answers = await Promise.all(Array.from({ length: 100 }, () => house.deliver(finished)));
    expect(answers.filter(({ body }) => body.status === "stored")).toHaveLength(1);
    expect(await house.store.events(10)).toHaveLength(1);
  });

  test.each([
    ["throws", () => Promise.reject(new Error("connection refused"))],
    ["hangs", () => new Promise<never>(() => {})],
  ])(
    "waits on the gateway's disk while the store %s, and is announced once when it is back",
    async (_how, fail) => {
      let away = true;
      await using house = await open(ci, {
        wrap: (store) => butFor(store, { report: (report) => (away ? fail() : store.report(report)) }),
      });
      const { status, body } = await house.deliver(finished);
      expect([status, body.status]).toEqual([200, "stored"]);
      expect(house.server.spool().waiting).toBe(1);
      away = false;
      await house.deliver(finished);
      await eventually("an empty spool", () => house.server.spool().waiting === 0);
      expect(await house.store.events(10)).toHaveLength(1);
    },
    30_000,
  );

  test("holds no secret of ours, whoever wrote it into a build", async () => {
    using folder = new Folder();
    folder.write("secrets.d/hub/inbound.token", secret);
    const { config, vault } = configFrom(
      {
        gateway: { listen: "127.0.0.1:0", admin: { listen: "127.0.0.1:0" }, drain_delay: "0s", sends: false },
        sources: { hub: { ...door, ...ci } },
      },
      { base: folder.path, env: {} },
    );
    const store = await openSqlite({ path: `${folder.path}/meshmac.db`, state_dir: folder.path, role: "owner" });
    const gateway = await openGateway({ config, vault, store, print: () => {} });
    const body = JSON.stringify({ ...finished, workflow: `nightly ${secret}`, failing_target: secret });
    const answer = await told(
      fetch(`${gateway.publicUrl}/hub`, {
        method: "POST",
        body,
        headers: { "content-type": "application/json", authorization: `Bearer ${secret}` },
      }),
    );
    expect(answer.body.status).toBe("stored");
    expect(JSON.stringify(await store.events(10))).not.toContain(secret.slice(6, 30));
    await gateway.stop();
    await store.close();
  });
});

describe("GitLab, which gives up a door that refuses it,", () => {
  const hub = { kind: "gitlab" };
  const token = { "x-gitlab-token": secret };

  test.each([
    ["broken JSON", "{", {}, "not valid JSON"],
    ["no JSON", "hello", { "content-type": "text/plain" }, "expected JSON"],
    ["a body of another system", "{}", {}, "no object_kind in the body"],
    ["a body that is too large", JSON.stringify({ a: "x".repeat(8000) }), {}, "body too large"],
  ])("is answered 200 to %s, with the reason, which is kept", async (_about, body, headers, reason) => {
    await using house = await open(hub, { gateway: { max_body: "4KiB" } });
    const answer = await house.post(body, { ...token, ...headers });
    expect([answer.status, answer.body.status, answer.body.reason]).toEqual([200, "ignored", reason]);
    const notes = await eventually("the note", async () => {
      const found = await house.store.deliveries(5);
      return found.length > 0 && found;
    });
    expect(notes).toMatchObject([{ outcome: "ignored", reason }]);
  });

  test("still gets 401 without its token, and no answer to what it sends", async () => {
    await using house = await open(hub, { gateway: { max_body: "4KiB" } });
    for (const body of ["{", JSON.stringify({ a: "x".repeat(8000) })]) {
      expect((await house.post(body, { "x-gitlab-token": "wrong" })).status).toBe(401);
    }
  });

  const body = JSON.stringify({ object_kind: "wiki_page" });
  const signed = (key: string) =>
    provenHeaders({ ...standardWebhooks, ids: [] }, key, { body, id: "msg_1", now: Date.now() });
  const other = `whsec_${Buffer.from("another key of the same size, no more no").toString("base64")}`;
  test.each([
    ["its signature alone", signed(secret), 200],
    ["its token beside a signature with the other setting's key", { ...token, ...signed(other) }, 200],
    [
      "its signature beside the other setting's token",
      { "x-gitlab-token": "the-other-setting", ...signed(secret) },
      200,
    ],
    ["neither right", { "x-gitlab-token": "the-other-setting", ...signed(other) }, 401],
  ])("is let in by %s", async (_about, headers, status) => {
    await using house = await open(hub);
    expect((await house.post(body, headers)).status).toBe(status);
  });

  test("proves itself with what the door's own preset makes", () =>
    expect(provenHeaders(gitlab, secret, { body, id: "msg_1", now: 0 })).toEqual({ "X-Gitlab-Token": secret }));
});

describe("a signed door", () => {
  const hub = { kind: "github" };
  const headers = { "x-github-event": "ping" };

  test("takes the current and the staged secret", async () => {
    await using house = await open(hub);
    const staged = "0123456789abcdef0123456789abcdef01234567";
    const body = "{}";
    house.folder.write("secrets.d/hub/inbound.token.next", staged);
    const github = sources.find(({ kind }) => kind === "github")?.verify({});
    if (!github) throw new Error("no github");
    for (const key of [secret, staged]) {
      const proof = provenHeaders(github, key, { body, id: "", now: 0 });
      await eventually(
        `the key ${key.slice(0, 4)}`,
        async () => (await house.post(body, { ...headers, ...proof })).status === 200,
      );
    }
    expect(
      (await house.post(body, { ...headers, ...provenHeaders(github, "x".repeat(40), { body, id: "", now: 0 }) }))
        .status,
    ).toBe(401);
  });

  test("stays open to its sender, however often others of that address have guessed", async () => {
    await using house = await open(hub);
    const wrong = { ...headers, "x-hub-signature-256": `sha256=${"0".repeat(64)}` };
    const statuses: number[] = [];
    for (let i = 0; i < 15; i++) statuses.push((await house.post("{}", wrong)).status);
    expect(statuses).toContain(429);
    expect((await house.deliver({}, headers)).status).toBe(200);
  });

  test("refuses a body before it is parsed", async () => {
    await using house = await open(hub);
    expect((await house.post("{", headers)).status).toBe(401);
    expect((await house.post("{", { ...headers, "x-hub-signature-256": `sha256=${"0".repeat(64)}` })).status).toBe(401);
    expect(await house.store.deliveries(5)).toEqual([]);
  });
});
