import { describe, expect, test } from "bun:test";
import { MeshError } from "../../src/core/error.ts";
import type { Lease } from "../../src/stores/store.ts";
import { type Gatehouse, openGatehouse, raw, secret, told, tokens, wanted } from "./gatehouse.ts";

const ask = {
  node: "mac-07",
  facts: { version: "0.1.0", os: "macOS 26", labels: [], scripts: ["build-ios"], concurrency: 1 },
  token: "lease-1",
  holding: [],
};

/** A run that waits, by its id. */
async function queued(house: Gatehouse, key = "MOB-12"): Promise<string> {
  return String((await house.deliver(wanted(key))).body.run_id);
}

/** Leases the next run and writes its log. */
async function running(house: Gatehouse, log = ""): Promise<Lease> {
  const lease = await house.store.lease({ ...ask, token: crypto.randomUUID() });
  if (!lease) throw new Error("nothing to lease");
  await append(house, lease, 0, log);
  return lease;
}

const append = (house: Gatehouse, { task, attempt }: Lease, offset: number, text: string) =>
  house.store.log({ node: ask.node, run_id: task.run_id, attempt, offset, bytes: Buffer.from(text) });

const failed = (house: Gatehouse, { task, attempt }: Lease) =>
  house.store.finish({
    run_id: task.run_id,
    attempt,
    state: "failed",
    mesh_node_id: ask.node,
    reason: "exit status 65",
    commit: "0123456789abcdef0123456789abcdef01234567",
    failing_target: "AppTests/LoginTests",
    summary: null,
    run_url: null,
    started_at: Date.now() - 90_000,
    finished_at: Date.now(),
    exit_code: 65,
    log_tail: ["the end"],
  });

test.each([
  ["state=bogus", 'state[0]: expected one of queued, running, succeeded, failed, cancelled, dead, got "bogus"'],
  ["limit=abc", "limit: expected a number, got NaN"],
  ["limit=201", "limit: expected at most 200, got 201"],
  ["lanes=ios", 'unknown key "lanes" (did you mean "lane"?)'],
])("a list asked for with %s is told what it takes", async (asked, why) => {
  await using house = await openGatehouse();
  const { status, body } = await told(fetch(`${house.server.adminUrl}/api/v1/runs?${asked}`));
  expect([status, body.error, body.hint]).toEqual([
    400,
    `the query: ${why}`,
    "it takes state, lane, source, issue_key, node, since, limit, cursor",
  ]);
});

const json = { "content-type": "application/json" };
const post = (url: string, headers: Record<string, string> = json) => told(fetch(url, { method: "POST", headers }));

describe("a run's page", () => {
  test("shows in plain text what became of it, and how to see the log", async () => {
    await using house = await openGatehouse();
    const run_id = await queued(house);
    await failed(house, await running(house));
    const answer = await fetch(`${house.server.adminUrl}/runs/${run_id}`);
    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "text/plain; charset=utf-8"]);
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    const text = await answer.text();
    for (const part of [
      "failed",
      "MOB-12",
      "mac-07",
      "AppTests/LoginTests",
      "0123456789abcdef",
      "65",
      `meshmac runs logs ${run_id}`,
    ]) {
      expect(text).toContain(part);
    }
  });

  test("shows no secret and no control character of a stranger's text", async () => {
    await using house = await openGatehouse();
    const summary = `see ${tokens.jira}\n\u001B[31mfake line`;
    const { body } = await house.deliver(wanted("MOB-12", { summary }));
    const text = await (await fetch(`${house.server.adminUrl}/runs/${body.run_id}`)).text();
    expect(text).toContain("***");
    expect(text).not.toContain(tokens.jira);
    expect(text).not.toContain("\u001B");
    const api = await (await fetch(`${house.server.adminUrl}/api/v1/runs/${body.run_id}`)).text();
    expect(api).not.toContain(tokens.jira);
  });

  test("is found by the end of the id, and 404 where there is none", async () => {
    await using house = await openGatehouse();
    const run_id = await queued(house);
    expect((await fetch(`${house.server.adminUrl}/runs/${run_id.slice(-12)}`)).status).toBe(200);
    for (const path of [
      "/runs/ffffffffffff",
      "/runs/../../etc/passwd",
      "/runs/",
      "/nothing",
      "/api/v1/runs/ffffffffffff",
    ]) {
      const { status, headers } = await told(fetch(house.server.adminUrl + path));
      expect([status, headers.has("x-meshmac-correlation-id")]).toEqual([404, true]);
    }
  });

  test("is one line of the list at /", async () => {
    await using house = await openGatehouse();
    const run_id = await queued(house);
    expect(await (await fetch(`${house.server.adminUrl}/`)).text()).toContain(run_id);
  });
});

describe("a log", () => {
  test("comes as text, from any byte, with secrets hidden by as many bytes", async () => {
    await using house = await openGatehouse();
    const run_id = await queued(house);
    // The vault knows a value once it was read; the door has read this one.
    const log = `first\nü ${tokens.jira}\nlast`;
    await failed(house, await running(house, log));
    const whole = await fetch(`${house.server.adminUrl}/runs/${run_id}/log`);
    expect(whole.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(await whole.text()).toBe(`first\nü ${"*".repeat(tokens.jira.length)}\nlast`);
    const rest = await fetch(`${house.server.adminUrl}/api/v1/runs/${run_id}/log?from=${Buffer.byteLength(log) - 4}`);
    expect(await rest.text()).toBe("last");
  });

  test("shows no part of a secret, wherever a page or what was asked for begins and ends", async () => {
    await using house = await openGatehouse();
    const run_id = await queued(house);
    const hidden = "*".repeat(tokens.jira.length);
    // One line, of which a page is a quarter of a MiB.
    const long = "x".repeat(256 * 1024 - 10);
    const log = `${long}${tokens.jira}${long}`;
    const lease = await running(house);
    const piece = 200_000;
    for (let at = 0; at < log.length; at += piece) await append(house, lease, at, log.slice(at, at + piece));
    await failed(house, lease);
    const url = `${house.server.adminUrl}/api/v1/runs/${run_id}/log`;
    expect((await (await fetch(url)).text()) === `${long}${hidden}${long}`).toBe(true);
    const from = long.length + 5;
    expect((await (await fetch(`${url}?from=${from}`)).text()) === `${hidden.slice(5)}${long}`).toBe(true);
  });

  test("is whole, however long", async () => {
    await using house = await openGatehouse();
    const run_id = await queued(house);
    const log = Array.from({ length: 40_000 }, (_, i) => `line ${i} of a long log\n`).join("");
    const lease = await running(house);
    const piece = 200_000;
    for (let at = 0; at < log.length; at += piece) await append(house, lease, at, log.slice(at, at + piece));
    await failed(house, lease);
    expect(await (await fetch(`${house.server.adminUrl}/runs/${run_id}/log`)).text()).toBe(log);
  });

  test("is followed from before the run begins until it is over", async () => {
    await using house = await openGatehouse();
    const run_id = await queued(house);
    const asked = fetch(`${house.server.adminUrl}/api/v1/runs/${run_id}/log?follow=1`);
    const lease = await running(house, "one\n");
    const reader = (await asked).body?.pipeThrough(new TextDecoderStream()).getReader();
    expect(await reader?.read()).toMatchObject({ value: "one\n" });
    await append(house, lease, 4, "two\nrest");
    await failed(house, lease);
    let got = "";
    for (let next = await reader?.read(); next && !next.done; next = await reader?.read()) got += next.value;
    expect(got).toBe("two\nrest");
  });

  test("of a run that has none yet is empty", async () => {
    await using house = await openGatehouse();
    expect(await (await fetch(`${house.server.adminUrl}/runs/${await queued(house)}/log`)).text()).toBe("");
  });

  test.each(["from=-1", "from=x", "follow=maybe", "attempt=0", "other=1"])(
    "asked for with %s is 400",
    async (query) => {
      await using house = await openGatehouse();
      const { status } = await told(fetch(`${house.server.adminUrl}/api/v1/runs/${await queued(house)}/log?${query}`));
      expect(status).toBe(400);
    },
  );
});

describe("the API", () => {
  test("lists runs by what they are, page by page", async () => {
    await using house = await openGatehouse();
    for (const key of ["MOB-1", "MOB-2", "MOB-3"]) await queued(house, key);
    const { adminUrl } = house.server;
    const first = await told(fetch(`${adminUrl}/api/v1/runs?limit=2&state=queued,running&lane=ios&source=jira`));
    expect(first.body.runs).toMatchObject([{ issue_key: "MOB-3" }, { issue_key: "MOB-2" }]);
    const second = await told(fetch(`${adminUrl}/api/v1/runs?limit=2&cursor=${first.body.next}`));
    expect([second.body.runs, second.body.next]).toMatchObject([[{ issue_key: "MOB-1" }], null]);
    expect((await told(fetch(`${adminUrl}/api/v1/runs?state=failed`))).body.runs).toEqual([]);
    expect((await told(fetch(`${adminUrl}/api/v1/runs?issue_key=MOB-2`))).body.runs).toHaveLength(1);
  });

  test.each(["state=lost", "limit=0", "limit=9999", "unknown=1"])("refuses a list with %s", async (query) => {
    await using house = await openGatehouse();
    const { status, body } = await told(fetch(`${house.server.adminUrl}/api/v1/runs?${query}`));
    expect([status, typeof body.error]).toEqual([400, "string"]);
  });

  test("shows a run with the names that --json has", async () => {
    await using house = await openGatehouse();
    const { body } = await told(fetch(`${house.server.adminUrl}/api/v1/runs/${await queued(house)}`));
    const names =
      "run_id state reason source issue_key project summary requested_by lane script repo_url ref node attempt lost queued_at started_at ended_at exit_code commit failing_target run_url retry_of";
    expect(Object.keys(body).toSorted()).toEqual(names.split(" ").toSorted());
  });

  test("lists nodes", async () => {
    await using house = await openGatehouse();
    await house.store.lease(ask);
    const { body } = await told(fetch(`${house.server.adminUrl}/api/v1/nodes`));
    expect(body.nodes).toMatchObject([{ node: "mac-07", facts: { os: "macOS 26" } }]);
  });

  test("lists lanes and locks, and says on /readyz what holds a lane up", async () => {
    await using house = await openGatehouse({ lane: { max_depth: 1, locks: ["signing"] } });
    await house.store.pause("ios", `moving, ${tokens.jira}`);
    for (const key of ["MOB-1", "MOB-2"]) await queued(house, key);
    const { body } = await told(fetch(`${house.server.adminUrl}/api/v1/lanes`));
    expect(body.lanes).toContainEqual(
      expect.objectContaining({ lane: "ios", depth: 2, max_depth: 1, locks: ["signing"] }),
    );
    expect(body.locks).toEqual([{ lock: "signing", capacity: 1, held: [] }]);
    const ready = await told(fetch(`${house.server.adminUrl}/readyz`));
    expect(JSON.stringify([body, ready.body])).not.toContain(tokens.jira);
    expect([ready.status, ready.body.notes]).toEqual([
      200,
      [
        expect.stringMatching(/^lane ios is paused: moving, .*\(2 waiting\)$/),
        "lane ios is too deep: 2 waiting, max_depth is 1",
      ],
    ]);
  });

  test("cancels what is not over", async () => {
    await using house = await openGatehouse();
    const run_id = await queued(house);
    const url = `${house.server.adminUrl}/api/v1/runs/${run_id}/cancel`;
    expect(await post(url)).toMatchObject({ status: 200, body: { run_id, cancel: "cancelled" } });
    expect((await post(url)).status).toBe(409);
    expect((await post(url.replace(run_id, "ffffffffffff"))).status).toBe(404);
  });

  test("queues an ended run again as a new one", async () => {
    await using house = await openGatehouse();
    const run_id = await queued(house);
    const url = `${house.server.adminUrl}/api/v1/runs/${run_id}/retry`;
    expect((await post(url)).status).toBe(409);
    await failed(house, await running(house));
    const { status, body } = await post(url);
    expect([status, body.retry_of]).toEqual([201, run_id]);
    const again = await house.store.show(String(body.run_id));
    expect(again?.run).toMatchObject({ state: "queued", issue_key: "MOB-12", retry_of: run_id });
    expect((await post(url.replace(run_id, "ffffffffffff"))).status).toBe(404);
  });

  test("says which methods a path has", async () => {
    await using house = await openGatehouse();
    const { adminUrl } = house.server;
    const { status, headers } = await told(fetch(`${adminUrl}/api/v1/runs/ffffffffffff/cancel`));
    expect([status, headers.get("allow")]).toEqual([405, "POST"]);
    expect((await told(fetch(`${adminUrl}/api/v1/runs`, { method: "DELETE" }))).status).toBe(405);
  });
});

describe("who may ask without a token", () => {
  test.each([
    ["localhost", 200],
    ["127.0.0.1:8788", 200],
    ["[::1]:8788", 200],
    ["evil.example", 403],
    ["localhost.evil.example", 403],
    ["127.0.0.1.evil.example:8788", 403],
    ["127.0.0.1@evil.example", 403],
    ["", 403],
  ])("by Host %j is %d", async (host, status) => {
    await using house = await openGatehouse();
    const got = await raw(
      house.server.adminUrl,
      `GET /api/v1/runs HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
      /\}$|^HTTP.1.1 400/,
    );
    const refused = host === "" || host.includes("@") ? /^HTTP\/1\.1 (400|403) / : new RegExp(`^HTTP/1.1 ${status} `);
    expect(got).toMatch(refused);
  });

  test("is told bare health whatever the Host", async () => {
    await using house = await openGatehouse();
    const get = (path: string) => raw(house.server.adminUrl, `GET ${path} HTTP/1.1\r\nHost: lb.example\r\n\r\n`, /\}$/);
    expect(await get("/healthz")).toMatch(/^HTTP\/1\.1 200 /);
    expect(await get("/readyz")).not.toContain("mesh_node_id");
  });
});

describe("a change", () => {
  test.each([
    ["without JSON's content type", {}, 415],
    ["as a form would send it", { "content-type": "text/plain" }, 415],
    ["from another origin", { ...json, origin: "https://evil.example" }, 403],
    ["from an opaque origin", { ...json, origin: "null" }, 403],
  ])("%s is refused", async (_how, headers: Record<string, string>, status) => {
    await using house = await openGatehouse();
    const url = `${house.server.adminUrl}/api/v1/runs/${await queued(house)}/cancel`;
    expect((await post(url, headers)).status).toBe(status);
  });

  test("from its own origin is done", async () => {
    await using house = await openGatehouse();
    const { adminUrl } = house.server;
    const url = `${adminUrl}/api/v1/runs/${await queued(house)}/cancel`;
    expect((await post(url, { ...json, origin: adminUrl })).status).toBe(200);
  });
});

const withToken = () => openGatehouse({ gateway: { admin: { listen: "127.0.0.1:0", token: "admin/api.token" } } });
const get = (house: Gatehouse, path: string, authorization?: string) =>
  told(fetch(house.server.adminUrl + path, { ...(authorization && { headers: { authorization } }) }));

describe("with a token", () => {
  test.each([undefined, "Bearer", "Bearer wrong", `Basic ${tokens.admin}`, `Bearer ${tokens.admin} x`, tokens.admin])(
    "%j does not get in",
    async (authorization) => {
      await using house = await withToken();
      const { status, headers } = await get(house, "/api/v1/runs", authorization);
      expect([status, headers.get("www-authenticate")]).toEqual([401, 'Bearer realm="meshmac"']);
    },
  );

  test("its bearer gets in, under any Host", async () => {
    await using house = await withToken();
    expect((await get(house, "/api/v1/runs", `Bearer ${tokens.admin}`)).status).toBe(200);
    const head = `GET /api/v1/runs HTTP/1.1\r\nHost: builds.example\r\nAuthorization: bearer ${tokens.admin}\r\n\r\n`;
    expect(await raw(house.server.adminUrl, head, /\}$/)).toMatch(/^HTTP\/1\.1 200 /);
  });

  test("health is bare for everybody else", async () => {
    await using house = await withToken();
    expect((await get(house, "/healthz")).status).toBe(200);
    expect((await get(house, "/readyz")).body).toEqual({ status: "ok" });
    expect((await get(house, "/readyz", `Bearer ${tokens.admin}`)).body.state).toBe("ready");
  });

  test("guessing is slowed down, the right one never", async () => {
    await using house = await withToken();
    const statuses = new Set<number>();
    for (let i = 0; i < 15; i++) statuses.add((await get(house, "/api/v1/runs", "Bearer guess")).status);
    expect([...statuses]).toEqual([401, 429]);
    expect((await get(house, "/api/v1/runs", `Bearer ${tokens.admin}`)).status).toBe(200);
  });

  test("a staged one gets in too", async () => {
    await using house = await withToken();
    const staged = "admin-staged-ffeeddccbbaa99887766554433";
    secret(house.dir, "admin/api.token.next", staged);
    expect((await get(house, "/api/v1/runs", `Bearer ${staged}`)).status).toBe(200);
  });
});

test("a log that another gateway keeps is 503 with its name, and says where it breaks off when only its rest is there", async () => {
  const elsewhere = new MeshError("unavailable", 'this part of the log is kept by gateway "mac-01"', {
    hint: "ask it",
  });
  await using house = await openGatehouse({
    wrap: (store) => ({
      ...store,
      async readLog(_run, _attempt, from) {
        const first = Buffer.from("one\nhalf of tw");
        if (from >= first.length) throw elsewhere;
        return { bytes: new Uint8Array(first.subarray(from)), next: first.length, size: 100 };
      },
    }),
  });
  const run_id = await queued(house);
  await failed(house, await running(house));
  const url = `${house.server.adminUrl}/api/v1/runs/${run_id}/log`;
  const answer = await told(fetch(`${url}?from=50`));
  expect([answer.status, answer.body.error, answer.body.hint]).toEqual([503, elsewhere.message, "ask it"]);
  const text = await (await fetch(url)).text();
  expect(text).toBe(`one\nhalf of tw\n[the log breaks off here: ${elsewhere.message}]\n`);
});
