import { describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "../../src/core/error.ts";
import { Notes } from "../../src/gateway/notes.ts";
import { Quiet } from "../../src/gateway/quiet.ts";
import { startReaper } from "../../src/gateway/reap.ts";
import type { Store } from "../../src/stores/store.ts";
import { butFor, eventually, openGatehouse, raw, tokens, told, wanted, withoutSpool } from "./gatehouse.ts";

const header = "x-meshmac-correlation-id";

describe("the public side", () => {
  test.each(["/", "/runs/x", "/api/v1/runs", "/api/v1/node/lease", "/jira", "/jira/openclaw/", "/metrics"])(
    "has nothing at %s",
    async (path) => {
      await using house = await openGatehouse();
      for (const method of ["GET", "POST"]) {
        const { status, body, headers } = await told(fetch(house.server.publicUrl + path, { method }));
        expect([status, body.error]).toEqual([404, "no such door"]);
        expect(headers.get(header)).toBe(String(body.correlation_id));
      }
    },
  );

  test("says where its doors are, with the port it really took", async () => {
    await using house = await openGatehouse();
    const { doors, publicUrl, adminUrl } = house.server;
    expect(new URL(publicUrl).port).not.toBe("0");
    expect(adminUrl).not.toBe(publicUrl);
    expect(doors).toEqual([
      { source: "jira", url: `${publicUrl}/jira/openclaw`, header: "X-Meshmac-Jira-Token", proof: "token" },
      { source: "youtrack", url: `${publicUrl}/youtrack/webhook`, header: "X-YouTrack-Token", proof: "token" },
    ]);
  });

  test("hangs other doors for the next request, and none of them where one cannot be", async () => {
    await using house = await openGatehouse();
    const { server, config } = house;
    const { jira, youtrack } = config.sources;
    if (!jira || !youtrack) throw new Error("no doors");
    const shared = { ...config, sources: { jira, youtrack: { ...youtrack, path: jira.path } } };
    expect(() => server.ready(shared)).toThrow("share the path");
    const swap = server.ready({
      ...config,
      sources: { second: { ...jira, path: "/second" } },
      gateway: { ...config.gateway, max_body: 10, trusted_proxies: ["127.0.0.1"] },
    });
    expect((await house.deliver()).status).toBe(200);
    swap();
    expect((await house.deliver()).status).toBe(404);
    expect(server.doors.map(({ source, url }) => [source, url])).toEqual([["second", `${server.publicUrl}/second`]]);
    const headers = { "content-type": "application/json", "x-meshmac-jira-token": tokens.jira };
    const knock = { method: "POST", headers, body: JSON.stringify(wanted()) };
    expect((await fetch(`${server.publicUrl}/second`, knock)).status).toBe(413);
    const plain = { ...knock, headers: { ...headers, "x-forwarded-proto": "http" } };
    expect((await fetch(`${server.publicUrl}/second`, plain)).status).toBe(403);
  });

  test("refuses two doors on one path, and an address range that is none", async () => {
    const path = "/youtrack/webhook";
    await expect(openGatehouse({ jira: { path } })).rejects.toMatchObject({ kind: "config" });
    await expect(openGatehouse({ jira: { allow_ips: ["10.0.0.0/99"] } })).rejects.toMatchObject({ kind: "config" });
  });

  test("says which setting names an address that is taken", async () => {
    await using house = await openGatehouse();
    const listen = new URL(house.server.adminUrl).host;
    const second = openGatehouse({ gateway: { admin: { listen } } });
    await expect(second).rejects.toMatchObject({
      kind: "unavailable",
      hint: expect.stringContaining("gateway.admin.listen"),
    });
  });

  test("never shows what went wrong inside", async () => {
    await using house = await openGatehouse({
      wrap: (store) => butFor(store, { list: () => Promise.reject(new Error("secret detail")) }),
    });
    const { status, body } = await told(fetch(`${house.server.adminUrl}/api/v1/runs`));
    expect(status).toBe(500);
    expect(Object.keys(body)).toEqual(["error", "correlation_id"]);
    expect(body.error).toBe("internal error");
  });
});

const readOnly = (store: Store) =>
  butFor(store, {
    check: () => Promise.reject(new Error("read-only")),
    accept: () => Promise.reject(new Error("read-only")),
  });

describe("health", () => {
  test("is good while the store can be written", async () => {
    await using house = await openGatehouse();
    for (const path of ["/healthz", "/readyz", "/startupz"]) {
      const { status, body } = await eventually(path, async () => {
        const answer = await told(fetch(house.server.publicUrl + path));
        return answer.status === 200 && answer;
      });
      expect([status, body]).toEqual([200, { status: "ok" }]);
    }
    const { body } = await told(fetch(`${house.server.adminUrl}/readyz`));
    expect(body).toMatchObject({ state: "ready", failing: [], mesh_node_id: "mac-07", version: expect.any(String) });
  });

  test("of a gateway whose store cannot be written is that of one which takes deliveries and wants no new ones", async () => {
    await using house = await openGatehouse({ wrap: readOnly });
    const ask = async (path: string) => (await fetch(house.server.publicUrl + path)).status;
    expect([await ask("/healthz"), await ask("/readyz")]).toEqual([200, 503]);
    await house.deliver();
    const { status, body } = await told(fetch(`${house.server.adminUrl}/readyz`));
    expect([status, body.state, body.failing]).toEqual([503, "failed", ["store"]]);
    expect(body.spool).toMatchObject({
      waiting: 1,
      bytes: expect.any(Number),
      oldest_ms: expect.any(Number),
      away: true,
    });
  });

  test("is bad where the spool is no help either, and says why on the admin side alone", async () => {
    await using house = await openGatehouse({ wrap: readOnly, prepare: withoutSpool });
    for (const path of ["/healthz", "/readyz"]) {
      const { status, body } = await told(fetch(house.server.publicUrl + path));
      expect([status, body]).toEqual([503, { status: "unavailable" }]);
    }
    const { status, body } = await told(fetch(`${house.server.adminUrl}/readyz`));
    expect([status, body.state, body.failing]).toEqual([503, "failed", ["store", "spool"]]);
    // Not a reason to start it over.
    expect((await fetch(`${house.server.publicUrl}/startupz`)).status).toBe(200);
  });

  test("asks the store once, however many ask", async () => {
    let asked = 0;
    await using house = await openGatehouse({
      wrap: (store) => butFor(store, { check: async () => void asked++ }),
    });
    const from = performance.now();
    await Promise.all(Array.from({ length: 50 }, () => fetch(`${house.server.publicUrl}/readyz`)));
    // At most once a second, and once at the start.
    expect(asked).toBeLessThanOrEqual(2 + Math.floor((performance.now() - from) / 1000));
  });

  test("answers GET and HEAD only", async () => {
    await using house = await openGatehouse();
    const { status, headers } = await told(fetch(`${house.server.publicUrl}/readyz`, { method: "POST" }));
    expect([status, headers.get("allow")]).toEqual([405, "GET, HEAD"]);
    expect((await fetch(`${house.server.publicUrl}/readyz`, { method: "HEAD" })).status).toBe(200);
  });
});

describe("a drain", () => {
  test("says 503 on /readyz at once and keeps the doors open", async () => {
    await using house = await openGatehouse();
    const drained = house.server.drain(60_000);
    const { status } = await told(fetch(`${house.server.publicUrl}/readyz`));
    expect(status).toBe(503);
    expect((await told(fetch(`${house.server.adminUrl}/readyz`))).body.state).toBe("draining");
    expect((await fetch(`${house.server.publicUrl}/healthz`)).status).toBe(200);
    const taken = await house.deliver();
    expect([taken.status, taken.headers.get("connection")]).toEqual([200, "close"]);
    await house.server.stop();
    await drained;
    await expect(fetch(`${house.server.publicUrl}/readyz`)).rejects.toThrow();
  });

  test("answers what it had accepted before it closes", async () => {
    const reached = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    await using house = await openGatehouse({
      wrap: (store) =>
        butFor(store, {
          accept: async (entry) => {
            reached.resolve();
            await release.promise;
            return await store.accept(entry);
          },
        }),
    });
    const answer = house.deliver();
    await reached.promise;
    const drained = house.server.drain(0);
    release.resolve();
    expect((await answer).body.status).toBe("queued");
    await drained;
  });

  test("keeps what was still to be noted", async () => {
    await using house = await openGatehouse();
    await house.deliver(wanted("MOB-1", { labels: [] }));
    await house.server.drain(0);
    expect(await house.store.deliveries(5, "ignored")).toHaveLength(1);
  });
});

test("speaks TLS, and with a client CA only to those who have a certificate", async () => {
  const make = Bun.spawnSync(["openssl", "version"]);
  if (!make.success) return; // nothing to make a certificate with
  await using house = await openGatehouse();
  const cert = join(house.dir, "cert.pem");
  const key = join(house.dir, "key.pem");
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  Bun.spawnSync(["openssl", "req", "-x509", ...curve, "-keyout", key, "-out", cert, ...subject]);
  const ca = await Bun.file(cert).text();

  await using open = await openGatehouse({ gateway: { tls: { cert, key } } });
  expect(open.server.publicUrl).toStartWith("https://");
  expect((await fetch(`${open.server.publicUrl}/readyz`, { tls: { ca } })).status).toBe(200);

  await using mutual = await openGatehouse({ gateway: { tls: { cert, key, client_ca: cert } } });
  const url = `${mutual.server.publicUrl}/readyz`;
  await expect(fetch(url, { tls: { ca } })).rejects.toThrow();
  const none = join(house.dir, "none.pem");
  for (const [tls, why] of [
    [{ cert: none, key }, `gateway.tls cannot be used (ENOENT, ${JSON.stringify(none)})`],
    [{ cert: key, key }, "gateway.tls cannot be used (ERR_OSSL_PEM_NO_START_LINE)"],
  ] as const) {
    await expect(openGatehouse({ gateway: { tls } })).rejects.toMatchObject({ kind: "config", message: why });
  }
  expect((await fetch(url, { tls: { ca, cert: ca, key: await Bun.file(key).text() } })).status).toBe(200);
  rmSync(cert);
});

describe("notes", () => {
  const note = {
    at: 1,
    source: "jira",
    correlation_id: "c",
    outcome: "ignored" as const,
    reason: "r",
    run_id: null,
    issue_key: null,
  };

  test("that the store refuses are dropped, and the next ones tried again", async () => {
    const kept: number[] = [];
    let refuse = true;
    const notes = new Notes(
      {
        note: async (batch) => {
          if (refuse) throw new Error("busy");
          kept.push(batch.length);
        },
      },
      1_000_000,
    );
    notes.add(note);
    await notes.flush();
    refuse = false;
    for (let i = 0; i < 3; i++) notes.add(note);
    await notes.flush();
    expect(kept).toEqual([3]);
  });

  test("outlast a store that is away, and no longer than the gateway", async () => {
    const kept: number[] = [];
    let away = true;
    const store = {
      note: async (batch: unknown[]) => {
        if (away) throw new MeshError("unavailable", "redis did not answer");
        kept.push(batch.length);
      },
    };
    const notes = new Notes(store, 1_000_000);
    notes.add(note);
    await notes.flush();
    notes.add(note);
    away = false;
    await notes.flush();
    expect(kept).toEqual([2]);
    away = true;
    notes.add(note);
    await notes.close();
    away = false;
    await notes.flush();
    expect(kept).toEqual([2]);
  });

  test("wait in bounded number while the store hangs", async () => {
    const release = Promise.withResolvers<void>();
    const kept: number[] = [];
    const notes = new Notes(
      { note: async (batch) => (await release.promise, void kept.push(batch.length)) },
      1_000_000,
    );
    notes.add(note);
    const first = notes.flush();
    for (let i = 0; i < 20_000; i++) notes.add(note);
    const second = notes.flush();
    release.resolve();
    await Promise.all([first, second]);
    expect(kept).toEqual([1, 10_000]);
  });
});

test("one line per stranger and second reaches the log, with how many were held back", () => {
  let now = 0;
  const quiet = new Quiet(() => now);
  expect([quiet.ask("a"), quiet.ask("a"), quiet.ask("a"), quiet.ask("b")]).toEqual([0, null, null, 0]);
  now = 1000;
  expect([quiet.ask("a"), quiet.ask("b")]).toEqual([2, 0]);
});

describe("the reaper", () => {
  const config = { lease: { ttl: 0, heartbeat: 0, fence: 0 }, node: { id: "mac-07" } };

  test("beats and reaps, and goes on after a failure", async () => {
    const done: string[] = [];
    const about = { kind: "sqlite" as const, durability: "" };
    const reaper = startReaper({
      store: {
        about,
        reap: async () => (done.push("reap"), 0),
        sweep: async () => 0,
        beat: async (gateway) => {
          done.push(gateway);
          throw new Error("busy");
        },
      },
      config,
    });
    await eventually("both", () => done.includes("reap") && done.includes(`mac-07/${process.pid}`));
    await reaper.stop();
  });
});

test.each([
  ["sqlite", false, []],
  ["sqlite", true, []],
  ["redis", true, [15_000]],
  ["redis", false, [undefined]],
] as const)(
  "after a start over %s the reaper waits one ttl, or the store does where nodes come through it (%p)",
  async (kind, takesNodes, reaped) => {
    const done: (number | undefined)[] = [];
    const beaten = Promise.withResolvers<void>();
    const reaper = startReaper({
      store: {
        about: { kind, durability: "" },
        reap: async (gate_ms) => (done.push(gate_ms), 0),
        sweep: async () => 0,
        beat: async () => beaten.resolve(),
      },
      config: { lease: { ttl: 3_600_000, heartbeat: 0, fence: 0 }, node: { id: "mac-07" } },
      takesNodes,
    });
    await beaten.promise; // its timer was set after that of the reaping
    await reaper.stop();
    expect(done).toEqual([...reaped]);
  },
);

test("a header phase without an end is cut without harm to others", async () => {
  await using house = await openGatehouse();
  const hanging = raw(house.door, "POST /jira/openclaw HTTP/1.1\r\nHost:", /never/);
  expect((await house.deliver()).status).toBe(200);
  await house.server.stop();
  await Promise.allSettled([hanging]);
});
