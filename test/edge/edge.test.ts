import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { JsonObject } from "../../src/core/json.ts";
import {
  butFor,
  eventually,
  openGatehouse,
  secret,
  tokens,
  wanted,
  type Wishes,
  withoutSpool,
} from "../gateway/gatehouse.ts";
import { askOf } from "../stores/conformance/given.ts";
import { type Asked, edges, type EdgeName, nodeHost, openEdge, programOf } from "./edge.ts";

setDefaultTimeout(60_000); // real programs on a busy machine

const correlation = "x-meshmac-correlation-id";
const nodeToken = "node-07-0123456789abcdef0123456789abcdef0123";

/** A gateway that trusts its loopback, and the real edge before it. */
async function open(name: EdgeName, wishes: Wishes = {}, over?: Record<string, string>) {
  const gateway: JsonObject = {
    trusted_proxies: ["127.0.0.1/32", "::1/128"],
    nodes: { listen: "127.0.0.1:0", url: `https://${nodeHost}` },
    ...wishes.gateway,
  };
  const house = await openGatehouse({ ...wishes, gateway });
  secret(house.dir, "nodes/mac-07.token", nodeToken);
  const { publicUrl, nodesUrl } = house.server;
  const edge = await openEdge(name, { doors: publicUrl, nodes: nodesUrl ?? "", ...(over && { over }) });
  return {
    house,
    ask: edge.ask,
    deliver: ({ headers, ...asked }: Asked = {}, body: string = JSON.stringify(wanted())) =>
      edge.ask("/jira/openclaw", {
        ...asked,
        headers: { "content-type": "application/json", "x-meshmac-jira-token": tokens.jira, ...headers },
        body,
      }),
    async [Symbol.asyncDispose]() {
      await edge[Symbol.asyncDispose]();
      await house.close();
    },
  };
}

const loopbackOnly = { jira: { allow_ips: ["127.0.0.1/32"] } };
const othersOnly = { jira: { allow_ips: ["192.0.2.0/24", "2001:db8::/32"] } };

const lease = (wait_ms: number): Asked => ({
  host: nodeHost,
  headers: { authorization: `Bearer ${nodeToken}`, "content-type": "application/json" },
  body: JSON.stringify({ ask: askOf({ node: "mac-07" }), wait_ms }),
});

for (const name of edges) {
  const lacks = programOf(name) === null || Bun.which("openssl") === null;
  const why = lacks ? ` (skipped: no ${programOf(name) === null ? name : "openssl"} here; ./test/run installs it)` : "";

  describe.skipIf(lacks)(`fixtures/edge before a gateway: ${name}${why}`, () => {
    test("brings a delivery to its door, with the address it came from", async () => {
      await using one = await open(name, loopbackOnly);
      const { status, headers, text } = await one.deliver();
      expect([status, JSON.parse(text).status]).toEqual([200, "queued"]);
      expect(headers[correlation]).toBe(JSON.parse(text).correlation_id);
    });

    test.each<[string, Record<string, string>]>([
      ["none", {}],
      ["one hop", { "x-forwarded-for": "192.0.2.7" }],
      ["a chain", { "x-forwarded-for": "192.0.2.7, 127.0.0.1, 192.0.2.7" }],
      ["IPv6 with a port", { "x-forwarded-for": "[2001:db8::7]:4711" }],
      ["the other spellings", { forwarded: "for=192.0.2.7", "x-real-ip": "192.0.2.7", "true-client-ip": "192.0.2.7" }],
    ])("does not let a stranger write where it came from: %s", async (_what, headers) => {
      await using one = await open(name, othersOnly);
      const { status, text } = await one.deliver({ headers });
      expect([status, JSON.parse(text).error]).toEqual([403, "address not allowed"]);
    });

    test.each<[string, Record<string, string>]>([
      ["as it is", {}],
      ["dressed up as https", { "x-forwarded-proto": "https" }],
    ])("brings plain http to the gateway, which refuses it: %s", async (_how, headers) => {
      await using one = await open(name);
      const { status, text } = await one.deliver({ plain: true, headers });
      const said = JSON.parse(text);
      expect([status, said.error, said.hint]).toEqual([403, "plain http", expect.stringContaining("rotate")]);
      expect((await one.house.store.list({ limit: 5 })).runs).toEqual([]);
    });

    test.each(["/", "/api/v1/runs", "/metrics", "/runs/x", "/api/v1/node/lease", "/jira", "/jira/openclaw/x"])(
      "has nothing of the admin or node side at %s",
      async (path) => {
        await using one = await open(name);
        for (const method of ["GET", "POST"]) {
          const headers = { authorization: `Bearer ${tokens.admin}` };
          const { status, headers: got } = await one.ask(path, { method, headers });
          expect([method, status, got[correlation]]).toEqual([method, 404, undefined]);
        }
      },
    );

    test("leaves it to the gateway to say that a body is too large, up to a size", async () => {
      await using one = await open(name);
      const ours = await one.deliver({}, "x".repeat(300 * 1024));
      expect([ours.status, JSON.parse(ours.text).error]).toEqual([413, "body too large"]);
      const theirs = await one.deliver({}, "x".repeat(700 * 1024)).catch(() => null);
      // Whoever still writes when the answer comes may see a broken connection in its place, and Caddy calls a body that
      // it cut off while the gateway was answering a bad gateway.
      if (theirs) expect(name === "caddy" ? [413, 502] : [413]).toContain(theirs.status);
      expect((await one.deliver()).status).toBe(200);
    });

    test("ends a request with huge headers itself", async () => {
      await using one = await open(name);
      const { status, headers } = await one.deliver({ headers: { "x-much": "x".repeat(40_000) } });
      expect([400, 431]).toContain(status);
      expect(headers[correlation]).toBeUndefined();
    });

    test("lets a node wait for its run, under the private name alone", async () => {
      await using one = await open(name);
      const waiting = one.ask("/api/v1/node/lease", lease(45_000));
      const { run_id } = JSON.parse((await one.deliver()).text);
      const { status, text } = await waiting;
      expect([status, JSON.parse(text).lease?.task.run_id]).toEqual([200, run_id]);
      for (const path of ["/", "/api/v1/runs", "/jira/openclaw", "/healthz"]) {
        expect([path, (await one.ask(path, { host: nodeHost, method: "GET" })).status]).toEqual([path, 404]);
      }
    });

    test("does not let strangers ask for the nodes by their name", async () => {
      const shut: Record<EdgeName, Record<string, string>> = {
        caddy: { private_ranges: "192.0.2.0/24" },
        nginx: { "allow 127.0.0.0/8;": "" },
      };
      await using one = await open(name, {}, shut[name]);
      const { status, headers } = await one.ask("/api/v1/node/lease", lease(0));
      expect([403, 404]).toContain(status);
      expect(headers[correlation]).toBeUndefined();
      expect((await one.deliver()).status).toBe(200);
    });
  });
}

test.skipIf(programOf("caddy") === null)(
  "caddy answers itself while /healthz is bad, and stops when it is good",
  async () => {
    let isWell = false;
    const check = () => (isWell ? Promise.resolve() : Promise.reject(new Error("read-only")));
    await using one = await open("caddy", { prepare: withoutSpool, wrap: (store) => butFor(store, { check }) });
    await eventually("an answer of its own", async () => {
      const { status, headers } = await one.deliver();
      return status === 503 && headers[correlation] === undefined;
    });
    isWell = true;
    await eventually("a door", async () => (await one.deliver()).status === 200);
  },
);

test.skipIf(programOf("nginx") === null)(
  "nginx shows /healthz, and gives what one gateway cannot store to the next",
  async () => {
    await using next = await openGatehouse({ gateway: { trusted_proxies: ["127.0.0.1/32"] } });
    const second = { "# server 10.0.0.6:8787 backup;": `server ${new URL(next.server.publicUrl).host} backup;` };
    await using one = await open(
      "nginx",
      {
        prepare: withoutSpool,
        wrap: (store) => butFor(store, { accept: () => Promise.reject(new Error("disk full")) }),
      },
      second,
    );
    const health = await one.ask("/healthz", { method: "GET" });
    expect(health.headers[correlation]).toBeString();
    expect(JSON.parse((await one.deliver()).text).status).toBe("queued");
    expect((await next.store.list({ limit: 5 })).runs).toHaveLength(1);
  },
);
