import { describe, expect, test } from "bun:test";
import { chmodSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "../../src/core/json.ts";
import { askOf, bytesOf, heldOf, leased, queue, reportOf, resultOf, seen } from "../stores/conformance/given.ts";
import {
  eventually,
  type Gatehouse,
  openGatehouse,
  type Payload,
  secret,
  told,
  tokens as others,
} from "./gatehouse.ts";

const tokens = {
  "mac-07": "node-07-0123456789abcdef0123456789abcdef0123",
  "mac-08": "node-08-0123456789abcdef0123456789abcdef0123",
};
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

async function open(more: JsonObject = {}) {
  const house = await openGatehouse({
    gateway: { nodes: { listen: "127.0.0.1:0", url: "http://mesh.example" }, ...more },
  });
  for (const [node, token] of Object.entries(tokens)) secret(house.dir, `nodes/${node}.token`, token);
  return house;
}

const url = (house: Gatehouse, path: string) => `${house.server.nodesUrl}${path}`;

const post = (
  house: Gatehouse,
  path: string,
  body: Payload | object,
  headers: Record<string, string> = bearer(tokens["mac-07"]),
) => told(fetch(url(house, path), { method: "POST", headers, body: isRaw(body) ? body : JSON.stringify(body) }));

const isRaw = (body: Payload | object): body is Payload =>
  typeof body === "string" || body instanceof Uint8Array || body instanceof ReadableStream;

const verb = (name: string) => `/api/v1/node/${name}`;
const logAt = (node: string, run_id: string, attempt = 1) =>
  `${verb("log")}?${new URLSearchParams({ node, run_id, attempt: String(attempt), offset: "0" })}`;
const lease = (node = "mac-07") => ({ ask: askOf({ node }), wait_ms: 0 });

describe("the node side", () => {
  test("refuses a node that came over plain http, if a trusted proxy says so", async () => {
    await using house = await open({ trusted_proxies: ["127.0.0.1/32"] });
    const over = (proto: string) =>
      post(house, verb("lease"), lease(), { ...bearer(tokens["mac-07"]), "x-forwarded-proto": proto });
    expect((await over("http")).body).toMatchObject({ error: "plain http", hint: expect.stringContaining("rotate") });
    expect((await over("https")).status).toBe(200);
  });

  test("is nowhere unless it is configured", async () => {
    await using house = await openGatehouse();
    expect(house.server.nodesUrl).toBeNull();
  });

  test("is not on the public side, whatever token is shown", async () => {
    await using house = await open();
    for (const name of ["lease", "renew", "log", "finish", "report"]) {
      const answer = await told(
        fetch(house.server.publicUrl + verb(name), { method: "POST", headers: bearer(tokens["mac-07"]), body: "{}" }),
      );
      expect([name, answer.status]).toEqual([name, 404]);
    }
  });

  test.each([
    "/",
    "/healthz",
    "/readyz",
    "/jira/openclaw",
    "/api/v1/runs",
    "/api/v1/nodes",
    "/api/v1/node",
    "/metrics",
    "/api/v1/node/lease",
  ])("knows nothing at %s but the verbs", async (path) => {
    await using house = await open();
    const asked = { method: "GET", headers: bearer(tokens["mac-07"]) };
    expect((await told(fetch(url(house, path), asked))).status).toBe(path === "/api/v1/node/lease" ? 405 : 404);
  });

  test.each([
    "operator/list",
    "operator/accept",
    "operator/cancel",
    "operator/mode",
    "node/reap",
    "node/claim",
    "node/publish",
  ])("opens no %s to a node's token, and says nothing of it to a stranger", async (path) => {
    await using house = await open();
    expect((await post(house, `/api/v1/${path}`, {})).status).toBe(403);
    expect((await post(house, `/api/v1/${path}`, {}, {})).status).toBe(401);
  });
});

describe("a node's token", () => {
  test.each<[string, Record<string, string>]>([
    ["none", {}],
    ["a wrong one", bearer("x".repeat(44))],
    ["an empty one", { authorization: "Bearer " }],
    ["another scheme", { authorization: `Basic ${tokens["mac-07"]}` }],
    ["another header", { "x-meshmac-jira-token": tokens["mac-07"] }],
    ["a longer one", bearer(`${tokens["mac-07"]}0`)],
    ["one of many megabytes' hope", bearer("x".repeat(5000))],
    ["a door's", bearer(others.jira)],
    ["the admin side's", bearer(others.admin)],
  ])("is asked for: %s is refused with the same words, and nothing is parsed", async (_about, headers) => {
    await using house = await open();
    const { status, body, headers: said } = await post(house, verb("lease"), "{not json", headers);
    expect([status, body]).toEqual([401, { error: "unauthorized", correlation_id: body.correlation_id }]);
    expect(said.get("www-authenticate")).toStartWith("Bearer");
  });

  test("opens its own node's verbs, and its staged value does too", async () => {
    await using house = await open();
    const staged = "node-07-staged-0123456789abcdef0123456789abc";
    secret(house.dir, "nodes/mac-07.token.next", staged);
    for (const token of [tokens["mac-07"], staged]) {
      const { status, body, headers } = await post(house, verb("lease"), lease(), bearer(token));
      expect([status, body]).toEqual([200, { lease: null }]);
      expect(headers.get("x-meshmac-correlation-id")).toBeString();
    }
  });

  test("is refused once its file is gone, and taken again once there is one, without a restart", async () => {
    await using house = await open();
    const file = join(house.dir, "secrets.d/nodes/mac-07.token");
    expect((await post(house, verb("lease"), lease())).status).toBe(200);
    renameSync(file, `${file}.aside`);
    await eventually("refused", async () => (await post(house, verb("lease"), lease())).status === 401);
    renameSync(`${file}.aside`, file);
    await eventually("taken again", async () => (await post(house, verb("lease"), lease())).status === 200);
  });

  test("that is gone ends the calls that it let in", async () => {
    await using house = await open();
    const waiting = post(house, verb("lease"), { ...lease(), wait_ms: 60_000 });
    await eventually("it waits", async () => (await house.store.nodes()).length === 1);
    rmSync(join(house.dir, "secrets.d/nodes/mac-07.token"));
    expect((await waiting).body).toEqual({ lease: null });
  });

  test("that others can read is refused, and harms no other node", async () => {
    await using house = await open();
    chmodSync(join(house.dir, "secrets.d/nodes/mac-08.token"), 0o644);
    expect((await post(house, verb("lease"), lease("mac-08"), bearer(tokens["mac-08"]))).status).toBe(401);
    expect((await post(house, verb("lease"), lease())).status).toBe(200);
  });

  test("that two nodes share says of neither who it is", async () => {
    await using house = await open();
    secret(house.dir, "nodes/mac-08.token", tokens["mac-07"]);
    expect((await post(house, verb("lease"), lease())).status).toBe(401);
  });

  test("is guessed at no faster than a door's", async () => {
    await using house = await open();
    const statuses: number[] = [];
    for (let i = 0; i < 12; i++) statuses.push((await post(house, verb("lease"), lease(), bearer(`${i}`))).status);
    expect(statuses.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 401));
    expect(statuses).toContain(429);
    expect((await post(house, verb("lease"), lease())).status).toBe(200);
  });

  test.each<[string, (run_id: string) => [path: string, body: object | string]]>([
    ["lease", () => [verb("lease"), lease("mac-08")]],
    ["renew", (run_id) => [verb("renew"), { node: "mac-08", held: [{ run_id, attempt: 1 }] }]],
    ["log", (run_id) => [logAt("mac-08", run_id), "forged"]],
    ["finish", (run_id) => [verb("finish"), resultOf({ run_id, attempt: 1 }, "succeeded", { mesh_node_id: "mac-08" })]],
    ["report", () => [verb("report"), reportOf({ mesh_node_id: "mac-08" })]],
  ])("does not %s in another node's name", async (_about, made) => {
    await using house = await open();
    const { run_id } = await queue(house.store);
    await house.store.lease(askOf({ node: "mac-08" }));
    const [path, body] = made(run_id);
    const answer = await post(house, path, body);
    expect([answer.status, answer.body.kind]).toEqual([403, "permission"]);
    expect((await seen(house.store, run_id)).run).toMatchObject({ state: "running", node: "mac-08" });
    expect((await house.store.readLog(run_id, 1, 0, 100)).size).toBe(0);
    expect((await house.store.events(10)).filter(({ report }) => report !== null)).toEqual([]);
  });

  test.each<[string, (run_id: string) => [path: string, body: object | string]]>([
    ["renew", (run_id) => [verb("renew"), { node: "mac-07", held: [{ run_id, attempt: 1 }] }]],
    ["log", (run_id) => [logAt("mac-07", run_id), "forged"]],
    ["finish", (run_id) => [verb("finish"), resultOf({ run_id, attempt: 1 })]],
  ])("does not %s another node's run", async (_about, made) => {
    await using house = await open();
    const { run_id } = await queue(house.store);
    await house.store.lease(askOf({ node: "mac-08" }));
    const [path, body] = made(run_id);
    expect((await post(house, path, body)).status).toBe(403);
    expect((await seen(house.store, run_id)).run).toMatchObject({ state: "running", node: "mac-08" });
    expect((await house.store.readLog(run_id, 1, 0, 100)).size).toBe(0);
  });

  test("hears of its own lost attempt that it is stale", async () => {
    await using house = await open();
    const { run_id } = await queue(house.store);
    const first = heldOf(await leased(house.store));
    await house.store.finish(resultOf(first, "queued"));
    await house.store.lease(askOf({ node: "mac-08" }));
    const { status, body } = await post(house, logAt("mac-07", run_id), "late");
    expect([status, body]).toEqual([200, { next: "stale" }]);
    expect((await seen(house.store, run_id)).run.node).toBe("mac-08");
  });

  test("says whose a report is", async () => {
    await using house = await open();
    expect((await post(house, verb("report"), reportOf({ mesh_node_id: null }))).body).toEqual({ said: "new" });
    expect((await house.store.events(1))[0]?.report).toMatchObject({ mesh_node_id: "mac-07", workflow: "release" });
  });
});

describe("what a node sends", () => {
  const deep = "[".repeat(100_000);
  test.each<[string, string, Payload, number]>([
    ["no JSON", verb("lease"), "{", 400],
    ["nothing", verb("lease"), "", 400],
    ["a list", verb("lease"), "[]", 400],
    ["another shape", verb("renew"), `{"node":7}`, 400],
    ["a bomb", verb("lease"), deep, 400],
    ["a key that reaches a prototype", verb("lease"), `{"ask":{"__proto__":{"node":"mac-07"}}}`, 400],
    ["the same, escaped", verb("lease"), `{"ask":{"\\u005f_proto__":{}}}`, 400],
    ["what is no UTF-8", verb("lease"), new Uint8Array([0x7b, 0xff, 0xfe, 0x7d]), 400],
    ["a wait without an end", verb("renew"), `{"node":"mac-07","held":[],"wait_ms":1e12}`, 400],
    ["a state that no node may claim", verb("finish"), `{"run_id":"r","attempt":1,"state":"dead"}`, 400],
    ["a log without its place", verb("log"), "bytes", 400],
    ["a negative offset", `${verb("log")}?node=mac-07&run_id=r&attempt=1&offset=-1`, "bytes", 400],
    ["a log that climbs out of its folder", logAt("mac-07", "../../../etc/cron.d/x"), "bytes", 200],
    ["more than any result", verb("finish"), "x".repeat(300_000), 413],
    ["more than any chunk", logAt("mac-07", "r"), "x".repeat(1_100_000), 413],
  ])("is refused with a reason where it is %s", async (_about, path, body, status) => {
    await using house = await open();
    const answer = await post(house, path, body);
    expect(answer.status).toBe(status);
    if (status === 200) expect(answer.body).toEqual({ next: "stale" });
    else expect(answer.body).toMatchObject({ kind: "data", error: expect.any(String) });
  });

  test("is counted as it comes where no length is announced", async () => {
    await using house = await open();
    let pulled = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (++pulled > 200) controller.close();
        else controller.enqueue(bytesOf("x".repeat(65_536)));
      },
    });
    expect((await post(house, verb("finish"), endless)).status).toBe(413);
  });

  test("is masked by exact value before it is stored, other nodes' tokens too", async () => {
    await using house = await open();
    await queue(house.store);
    const held = heldOf(await leased(house.store));
    // Every token was compared once: the gateway knows what it hides.
    await post(house, verb("lease"), { ask: askOf({ holding: [held] }), wait_ms: 0 });
    const line = `${tokens["mac-08"]} and ${tokens["mac-07"]}\n`;
    expect((await post(house, logAt("mac-07", held.run_id), line)).body.next).toBe(line.length);
    await post(house, verb("finish"), resultOf(held, "failed", { summary: tokens["mac-08"], log_tail: [line.trim()] }));
    await post(house, verb("report"), reportOf({ workflow: tokens["mac-08"] }));
    const { bytes } = await house.store.readLog(held.run_id, 1, 0, 1000);
    const kept = [
      Buffer.from(bytes),
      JSON.stringify(await seen(house.store, held.run_id)),
      JSON.stringify(await house.store.events(50)),
    ];
    for (const text of kept.map(String)) {
      expect(text).toContain("***");
      for (const token of Object.values(tokens)) expect(text).not.toContain(token);
    }
  });

  test("is masked where chunks of its log cut a secret, however little of it stands in the first", async () => {
    await using house = await open();
    await queue(house.store);
    const held = heldOf(await leased(house.store));
    await post(house, verb("lease"), { ask: askOf({ holding: [held] }), wait_ms: 0 });
    const line = `the token ${tokens["mac-08"]} is said`;
    const cuts = [0, 11, 12, 13, line.length];
    for (const [i, from] of cuts.slice(0, -1).entries()) {
      const at = logAt("mac-07", held.run_id).replace("offset=0", `offset=${from}`);
      expect((await post(house, at, line.slice(from, cuts[i + 1]))).body.next).toBe(cuts[i + 1]);
    }
    const { bytes } = await house.store.readLog(held.run_id, 1, 0, 1000);
    expect(Buffer.from(bytes).toString()).toBe(
      `the token ${tokens["mac-08"].slice(0, 3)}${"*".repeat(tokens["mac-08"].length - 3)} is said`,
    );
  });

  test("waits at once in so many calls and no more", async () => {
    await using house = await open();
    const gone = new AbortController();
    const wait = () =>
      fetch(url(house, verb("renew")), {
        method: "POST",
        headers: bearer(tokens["mac-07"]),
        body: JSON.stringify({ node: "mac-07", held: [], wait_ms: 60_000 }),
        signal: gone.signal,
      }).then(
        ({ status }) => status,
        () => 0,
      );
    const calls = Array.from({ length: 230 }, wait);
    expect(
      await Promise.any(calls.map(async (call) => ((await call) === 429 ? 429 : Promise.reject(new Error("waits"))))),
    ).toBe(429);
    expect((await post(house, verb("lease"), lease("mac-08"), bearer(tokens["mac-08"]))).status).toBe(200);
    gone.abort();
    await Promise.all(calls);
    await eventually("room again", async () => (await post(house, verb("lease"), lease())).status === 200);
  });
});

test("a file in the place of the tokens' folder lets nobody in, and stops nothing", async () => {
  await using house = await open();
  rmSync(join(house.dir, "secrets.d/nodes"), { recursive: true });
  secret(house.dir, "nodes", "no folder");
  expect((await post(house, verb("lease"), lease())).status).toBe(401);
});
