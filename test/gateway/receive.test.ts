import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { MeshError } from "../../src/core/error.ts";
import type { Json } from "../../src/core/json.ts";
import {
  butFor,
  eventually,
  openGatehouse,
  type Payload,
  raw,
  secret,
  told,
  tokens,
  wanted,
  withoutSpool,
} from "./gatehouse.ts";

const header = "x-meshmac-correlation-id";
const tokenHeader = "x-meshmac-jira-token";

describe("a door", () => {
  test("queues what asks for a build, and says which run", async () => {
    await using house = await openGatehouse();
    const { status, body, headers } = await house.deliver();
    expect([status, body.status]).toEqual([200, "queued"]);
    expect(headers.get(header)).toBe(String(body.correlation_id));
    const shown = await house.store.show(String(body.run_id));
    expect(shown?.task).toMatchObject({
      source: "jira",
      issue_key: "MOB-12",
      repo_url: "git@git.example:acme/app.git",
      correlation_id: body.correlation_id,
    });
    expect(house.steps).toMatchObject([{ door: "jira", outcome: "queued", issue_key: "MOB-12", run_id: body.run_id }]);
  });

  test("answers a repeat with the run there is and how to build again", async () => {
    await using house = await openGatehouse();
    const first = await house.deliver();
    const again = await house.deliver();
    expect(again.body).toMatchObject({ status: "duplicate", run_id: first.body.run_id });
    expect(again.body.hint).toContain(`meshmac runs retry ${first.body.run_id}`);
    expect((await house.store.list({ limit: 5 })).runs).toHaveLength(1);
  });

  test("makes one run of 200 copies at once", async () => {
    await using house = await openGatehouse();
    const answers = await Promise.all(Array.from({ length: 200 }, () => house.deliver()));
    expect(new Set(answers.map(({ body }) => body.run_id)).size).toBe(1);
    expect(answers.filter(({ body }) => body.status === "queued")).toHaveLength(1);
    expect((await house.store.list({ limit: 5 })).runs).toHaveLength(1);
  });

  test("answers 200 to what is not for us, says why, and keeps the reason", async () => {
    await using house = await openGatehouse();
    const { status, body } = await house.deliver(wanted("MOB-13", { status: { name: "Done" } }));
    expect([status, body.status]).toEqual([200, "ignored"]);
    expect(body.reason).toContain("Done");
    const [note] = await eventually("the note", async () => {
      const notes = await house.store.deliveries(5, "ignored");
      return notes.length > 0 && notes;
    });
    expect(note).toMatchObject({ source: "jira", reason: body.reason, issue_key: "MOB-13", run_id: null });
    expect(note?.correlation_id).toBe(String(body.correlation_id));
  });

  test("reads a body that comes in pieces", async () => {
    await using house = await openGatehouse();
    const bytes = new TextEncoder().encode(JSON.stringify(wanted()));
    const pieces = new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.length; at += 7) controller.enqueue(bytes.slice(at, at + 7));
        controller.close();
      },
    });
    expect((await house.deliver(pieces)).body.status).toBe("queued");
  });
});

describe("a refusal", () => {
  const deep = `${"[".repeat(40)}${"]".repeat(40)}`;
  type Case = [about: string, status: number, error: string, body: Json | Payload, headers: Record<string, string>];
  const cases: Case[] = [
    ["another content type", 415, "expected JSON", "a=1", { "content-type": "application/x-www-form-urlencoded" }],
    ["no content type", 415, "expected JSON", new Uint8Array([123, 125]), { "content-type": "" }],
    ["what is not JSON", 400, "not valid JSON", `{"summary":"a "quoted" word"}`, {}],
    ["an empty body", 400, "not valid JSON", "", {}],
    ["a list", 400, "expected a JSON object", "[]", {}],
    ["a depth bomb", 400, "nested deeper than 32", `{"a":${deep}}`, {}],
    ["a key that reaches a prototype", 400, `key "__proto__" is not allowed`, `{"__proto__":{"a":1}}`, {}],
    ["what is not UTF-8", 400, "not UTF-8", new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]), {}],
    ["a body without an issue", 400, "", {}, {}],
    [
      "a wrong signature beside a right token",
      401,
      "unauthorized",
      wanted(),
      { "x-hub-signature": `sha256=${"0".repeat(64)}` },
    ],
    ["an empty signature beside a right token", 401, "unauthorized", wanted(), { "x-hub-signature": "sha256=" }],
    ["a wrong token", 401, "unauthorized", wanted(), { [tokenHeader]: "wrong" }],
    ["an empty token", 401, "unauthorized", wanted(), { [tokenHeader]: "" }],
    ["a wrong token before a body that is no JSON", 401, "unauthorized", "{", { [tokenHeader]: "wrong" }],
    ["a token that is too long to look at", 401, "unauthorized", wanted(), { [tokenHeader]: tokens.jira.repeat(20) }],
    [
      "a right token with more behind it",
      401,
      "unauthorized",
      wanted(),
      { [tokenHeader]: `${tokens.jira}, ${tokens.jira}` },
    ],
  ];
  test.each(cases)("of %s is %d", async (_about, status, error, body, headers) => {
    await using house = await openGatehouse();
    const answer = await house.deliver(body, headers);
    expect([answer.status, String(answer.body.error)]).toEqual([status, expect.stringContaining(error)]);
    expect(answer.headers.get(header)).toBe(String(answer.body.correlation_id));
    if (status === 400 || status === 415) expect(answer.body.hint).toBeString();
    if (status === 401) expect(Object.keys(answer.body).toSorted()).toEqual(["correlation_id", "error"]);
    expect((await house.store.list({ limit: 5 })).runs).toEqual([]);
  });

  test("tells Jira users of the smart value that breaks their JSON", async () => {
    await using house = await openGatehouse();
    expect((await house.deliver("{,}")).body.hint).toContain("asJsonString");
    expect((await house.deliver(`{"a":${deep}}`)).body.hint).not.toContain("asJsonString");
  });

  test("of the token header sent twice is 401", async () => {
    await using house = await openGatehouse();
    const head = `POST /jira/openclaw HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n`;
    const twice = `${tokenHeader}: ${tokens.jira}\r\n`.repeat(2);
    expect(await raw(house.door, `${head}${twice}\r\n{}`, /\}$/)).toStartWith("HTTP/1.1 401 ");
  });

  test("of a missing token comes before the body does", async () => {
    await using house = await openGatehouse();
    const head = "POST /jira/openclaw HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n";
    expect(await raw(house.door, head, /\}$/)).toStartWith("HTTP/1.1 401 ");
  });

  test("of YouTrack's masked token says the cause in the log's words, not in the answer", async () => {
    await using house = await openGatehouse();
    const answer = await told(
      fetch(`${house.server.publicUrl}/youtrack/webhook`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-youtrack-token": "secret" },
        body: "{}",
      }),
    );
    expect(Object.keys(answer.body)).toEqual(["error", "correlation_id"]);
    expect(house.steps[0]?.reason).toContain("YouTrack");
  });

  test.each([
    ["announced", (size: number): Payload => "x".repeat(size)],
    [
      "in pieces",
      (size: number): Payload =>
        new ReadableStream({
          start(controller) {
            for (let sent = 0; sent < size; sent += 1024) controller.enqueue(new Uint8Array(1024));
            controller.close();
          },
        }),
    ],
  ])("of a body that is too large, %s, is our own 413", async (_how, body) => {
    await using house = await openGatehouse({ gateway: { max_body: "4KiB" } });
    const { status, body: said, headers } = await house.deliver(body(6 * 1024));
    expect([status, said.error, said.hint]).toEqual([413, "body too large", "at most 4096 bytes (gateway.max_body)"]);
    expect(headers.get(header)).toBeString();
  });

  test.each(["GET", "PUT", "DELETE", "OPTIONS"])("of %s names POST", async (method) => {
    await using house = await openGatehouse();
    const { status, headers } = await told(fetch(house.door, { method }));
    expect([status, headers.get("allow")]).toEqual([405, "POST"]);
  });

  test("that a verified sender got is kept; a stranger's is not", async () => {
    await using house = await openGatehouse();
    await house.deliver("{", { [tokenHeader]: "wrong" });
    await house.deliver("{");
    const notes = await eventually("the note", async () => {
      const found = await house.store.deliveries(5);
      return found.length > 0 && found;
    });
    expect(notes.map(({ outcome, reason }) => [outcome, reason])).toEqual([["refused", "not valid JSON"]]);
  });
});

const sign = (body: string, key = tokens.jira) => `sha256=${createHmac("sha256", key).update(body).digest("hex")}`;

describe("a signature", () => {
  const body = JSON.stringify(wanted());

  async function post(url: string, headers: Record<string, string>) {
    return await told(
      fetch(url, { method: "POST", headers: { "content-type": "application/json", ...headers }, body }),
    );
  }

  test("opens the door where no token came", async () => {
    await using house = await openGatehouse();
    expect((await post(house.door, { "x-hub-signature": sign(body) })).body.status).toBe("queued");
    expect((await post(house.door, { "x-hub-signature": sign(`${body} `) })).status).toBe(401);
    expect((await post(house.door, { "x-hub-signature": sign(body, "other") })).status).toBe(401);
  });

  test("must hold beside a right token, and does not heal a wrong one", async () => {
    await using house = await openGatehouse();
    const signature = sign(body);
    expect((await post(house.door, { "x-hub-signature": signature, [tokenHeader]: tokens.jira })).status).toBe(200);
    expect((await post(house.door, { "x-hub-signature": signature, [tokenHeader]: "wrong" })).status).toBe(401);
  });

  test("is no key to a door whose sender cannot sign", async () => {
    await using house = await openGatehouse();
    const signed = { "x-hub-signature": sign(body, tokens.youtrack) };
    expect((await post(`${house.server.publicUrl}/youtrack/webhook`, signed)).status).toBe(401);
  });
});

describe("who may knock", () => {
  test("follows allow_ips, behind proxies that are trusted", async () => {
    const trusted_proxies = ["127.0.0.1/32", "10.0.0.0/8"];
    await using house = await openGatehouse({ gateway: { trusted_proxies }, jira: { allow_ips: ["192.0.2.0/24"] } });
    const from = async (forwarded: string) => (await house.deliver(wanted(), { "x-forwarded-for": forwarded })).status;
    expect(await from("192.0.2.7")).toBe(200);
    expect(await from("198.51.100.1, 192.0.2.7, 10.1.2.3")).toBe(200);
    expect(await from("192.0.2.7, 198.51.100.1")).toBe(403);
    expect(await from("::ffff:192.0.2.7")).toBe(200);
    expect(await from("nonsense")).toBe(403);
    expect((await house.deliver()).status).toBe(403);
  });

  test("does not believe X-Forwarded-For of a stranger", async () => {
    await using house = await openGatehouse({ jira: { allow_ips: ["192.0.2.0/24"] } });
    expect((await house.deliver(wanted(), { "x-forwarded-for": "192.0.2.7" })).status).toBe(403);
  });

  test("is asked before the token", async () => {
    await using house = await openGatehouse({ jira: { allow_ips: ["192.0.2.0/24"] } });
    expect((await house.deliver(wanted(), { [tokenHeader]: "wrong" })).status).toBe(403);
  });

  test("is throttled after ten wrong tokens, but never with the right one", async () => {
    await using house = await openGatehouse();
    const statuses: number[] = [];
    for (let i = 0; i < 15; i++) statuses.push((await house.deliver(wanted(), { [tokenHeader]: "wrong" })).status);
    expect(statuses.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 401));
    expect(statuses.slice(10)).toContain(429);
    expect((await house.deliver()).status).toBe(200);
  });

  test("is never throttled with a right signature, however many wrong tokens or signatures came before", async () => {
    await using house = await openGatehouse();
    const body = JSON.stringify(wanted());
    const signed = (signature: string) =>
      told(
        fetch(house.door, {
          method: "POST",
          headers: { "content-type": "application/json", "x-hub-signature": signature },
          body,
        }),
      );
    const statuses: number[] = [];
    for (let i = 0; i < 15; i++) {
      statuses.push((await house.deliver(wanted(), { [tokenHeader]: "wrong" })).status);
      statuses.push((await signed(sign(body, "other"))).status);
    }
    expect(statuses.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 401));
    expect(statuses.at(-1)).toBe(429);
    expect((await signed(sign(body))).status).toBe(200);
  });

  test("gets 403 over plain http, if a trusted proxy says so, and no hint of whether the token was right", async () => {
    await using house = await openGatehouse({ gateway: { trusted_proxies: ["127.0.0.1/32"] } });
    const plain = { "x-forwarded-proto": "http" };
    const right = await house.deliver(wanted(), plain);
    const wrong = await house.deliver(wanted(), { ...plain, [tokenHeader]: "wrong" });
    for (const { status, body } of [right, wrong]) {
      expect([status, Object.keys(body), body.error]).toEqual([403, ["error", "hint", "correlation_id"], "plain http"]);
    }
    expect(right.body.hint).toBe(wrong.body.hint);
    expect((await house.store.list({ limit: 5 })).runs).toEqual([]);
    // What a right token did is kept for its owner.
    const notes = await eventually("the note", async () => {
      const found = await house.store.deliveries(5);
      return found.length > 0 && found;
    });
    expect(notes.map(({ outcome, reason }) => [outcome, reason])).toEqual([
      ["refused", "the client came over plain http"],
    ]);
    expect((await house.deliver(wanted(), { "x-forwarded-proto": "https" })).status).toBe(200);
  });

  test("may say http itself, where nobody trusts it", async () => {
    await using house = await openGatehouse();
    expect((await house.deliver(wanted(), { "x-forwarded-proto": "http" })).status).toBe(200);
  });

  test("may use the staged token as well as the current one", async () => {
    await using house = await openGatehouse();
    const staged = "jira-staged-0123456789abcdef0123456789";
    secret(house.dir, "jira/inbound.token.next", staged);
    await eventually(
      "the staged token",
      async () => (await house.deliver(wanted(), { [tokenHeader]: staged })).status === 200,
    );
    expect((await house.deliver()).status).toBe(200);
  });
});

describe("a store in trouble", () => {
  const hang = new Promise<never>(() => {});

  const troubles: [how: string, accept: () => Promise<never>][] = [
    ["throws", () => Promise.reject(new Error("disk full"))],
    ["hangs", () => hang],
  ];

  test.each(troubles)("that %s leaves what was delivered to the spool", async (_how, accept) => {
    await using house = await openGatehouse({ commitWithin: 50, wrap: (store) => butFor(store, { accept }) });
    const { status, body } = await house.deliver();
    expect([status, Object.keys(body).toSorted(), body.status]).toEqual([200, ["correlation_id", "status"], "stored"]);
    expect(house.server.spool()).toMatchObject({ waiting: 1, away: true });
  });

  test.each(troubles)(
    "that %s is 503 with Retry-After where the spool is no help either, and never a 2xx",
    async (_how, accept) => {
      await using house = await openGatehouse({
        commitWithin: 50,
        wrap: (store) => butFor(store, { accept }),
        prepare: withoutSpool,
      });
      const { status, headers, body } = await house.deliver();
      expect([status, body.error]).toEqual([503, "not stored"]);
      expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
    },
  );

  test("that refuses the record itself keeps it out of the spool", async () => {
    const refusal = new MeshError("data", "the store refused a record");
    await using house = await openGatehouse({
      wrap: (store) => butFor(store, { accept: () => Promise.reject(refusal) }),
    });
    expect((await house.deliver()).status).toBe(503);
    expect(house.server.spool()).toMatchObject({ waiting: 0, away: false });
  });

  test("answers what is ignored all the same", async () => {
    await using house = await openGatehouse({ wrap: (store) => butFor(store, { accept: () => hang }) });
    expect((await house.deliver(wanted("MOB-1", { labels: [] }))).body.status).toBe("ignored");
  });

  test("takes no more at once than max_in_flight", async () => {
    const release = Promise.withResolvers<void>();
    await using house = await openGatehouse({
      gateway: { max_in_flight: 2 },
      wrap: (store) =>
        butFor(store, {
          accept: async (entry) => {
            await release.promise;
            return await store.accept(entry);
          },
        }),
    });
    const answers = ["MOB-1", "MOB-2", "MOB-3"].map((key) => house.deliver(wanted(key)));
    expect(await Promise.race(answers)).toMatchObject({ status: 503 });
    release.resolve();
    expect((await Promise.all(answers)).map(({ status }) => status).toSorted()).toEqual([200, 200, 503]);
  });

  test("is no lane that is deeper than it was meant to be: nothing is lost for that", async () => {
    await using house = await openGatehouse({ lane: { max_depth: 1 } });
    for (const key of ["MOB-1", "MOB-2", "MOB-3"]) expect((await house.deliver(wanted(key))).status).toBe(200);
  });
});

test("a sender that drips its body holds up nobody else", async () => {
  await using house = await openGatehouse();
  const head = `POST /jira/openclaw HTTP/1.1\r\nHost: a\r\n${tokenHeader}: ${tokens.jira}\r\nContent-Length: 1000\r\n\r\n{`;
  const slow = Array.from({ length: 50 }, () => raw(house.door, head, /never/));
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => house.deliver(wanted(`MOB-${i}`))));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(50);
  await house.server.stop();
  await Promise.allSettled(slow);
});
