import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MeshError } from "../src/core/error.ts";
import { type Outbound, outboundOptions } from "../src/core/outbound.ts";
import type { Post } from "../src/core/post.ts";
import { Secret } from "../src/core/secret.ts";
import { standardSignature } from "../src/core/standard-webhooks.ts";
import { call, sendPost } from "../src/http.ts";
import { gate, openRemote, remote } from "./fakes/remote.ts";

const dir = mkdtempSync(join(tmpdir(), "meshmac-http-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const outbound = (more: Partial<Record<keyof Outbound, unknown>> = {}): Outbound => outboundOptions.parse(more);
const secretOf = (text: string) => new Secret("acme/some.token", () => text);
const to = (url: string, more: Partial<Post> = {}): Post => ({
  method: "POST",
  url: secretOf(url),
  body: { said: "é" },
  ...more,
});
const failing = async (post: Post, options = outbound()) => {
  const sent = await sendPost(post, options);
  if (!("failure" in sent)) throw new Error(`answered ${sent.reply.status}`);
  return sent.failure;
};
const replying = async (post: Post, options = outbound()) => {
  const sent = await sendPost(post, options);
  if ("failure" in sent) throw new Error(sent.failure.why);
  return sent.reply;
};

describe("two values of a secret, for the time of a rotation", () => {
  const uses: string[] = [];
  const staged = () => {
    uses.length = 0;
    const secret = new Secret("jira/rest.token");
    const live = (text: string) => ({
      text,
      keyId: text,
      used: (refused: boolean) => void uses.push(`${text} ${refused ? "no" : "yes"}`),
      taken: () => void uses.push(`${text} taken`),
    });
    secret.bind(() => [live("new-value"), live("old-value")]);
    return secret;
  };
  const bearers = (requests: { headers: Headers }[]) => requests.map(({ headers }) => headers.get("authorization"));

  test("the new one is sent first", async () => {
    using tracker = remote(201);
    const reply = await replying(to(tracker.url, { bearer: staged() }));
    expect(reply.status).toBe(201);
    expect(bearers(tracker.requests)).toEqual(["Bearer new-value"]);
    expect(uses).toEqual(["new-value yes"]);
  });

  test("where it is refused the old one is, and that is what counts", async () => {
    using tracker = remote(401, 201);
    const reply = await replying(to(tracker.url, { basic: { user: "bot", password: staged() } }));
    expect(reply.status).toBe(201);
    const sent = bearers(tracker.requests).map((text) => atob(text?.slice("Basic ".length) ?? ""));
    expect(sent).toEqual(["bot:new-value", "bot:old-value"]);
    expect(uses).toEqual(["new-value no", "old-value yes"]);
  });

  test("a success counts for the one that it was had with, once somebody judged it", async () => {
    using tracker = remote(401, 201);
    const sent = await sendPost(to(tracker.url, { bearer: staged() }), outbound());
    if ("reply" in sent) sent.taken?.();
    expect(uses).toEqual(["new-value no", "old-value yes", "old-value taken"]);
  });

  test("where both are refused, so is the post, after two requests", async () => {
    using tracker = remote(401);
    const reply = await replying(to(tracker.url, { bearer: staged() }));
    expect([reply.status, tracker.requests.length]).toEqual([401, 2]);
    expect(uses).toEqual(["new-value no", "old-value no"]);
  });

  test.each([400, 403, 404, 429, 500])(
    "status %i says nothing of the token, and nothing is sent again",
    async (status) => {
      using tracker = remote(status);
      await replying(to(tracker.url, { bearer: staged() }));
      expect(bearers(tracker.requests)).toEqual(["Bearer new-value"]);
    },
  );

  test("neither is quoted by a reply", async () => {
    using tracker = remote({ status: 403, body: "new-value and old-value are wrong" });
    const { text } = await replying(to(tracker.url, { bearer: staged() }));
    expect(text).not.toMatch(/new-value|old-value/);
  });

  test("a body is signed with both keys, of which the receiver takes the one it knows", async () => {
    using receiver = remote(200);
    const [fresh, old] = [1, 2].map((byte) => `whsec_${Buffer.alloc(32, byte).toString("base64")}`) as [string, string];
    const key = new Secret("hooks/signing.key");
    key.bind(() => [fresh, old].map((text) => ({ text, keyId: text, used: () => {}, taken: () => {} })));
    await sendPost(to(receiver.url, { sign: { scheme: "standard-webhooks", id: "msg_1", key } }), outbound());
    const [asked] = receiver.requests;
    const timestamp = Number(asked?.headers.get("webhook-timestamp"));
    const signed = (text: string) => standardSignature(text, { id: "msg_1", timestamp, body: asked?.text ?? "" });
    expect(asked?.headers.get("webhook-signature")).toBe(`${signed(fresh)} ${signed(old)}`);
  });
});

describe("sendPost", () => {
  test("sends JSON as meshmac, and answers what came back", async () => {
    using chat = remote({ status: 202, headers: { "X-Limit": "7" }, body: "taken" });
    const reply = await replying(to(`${chat.url}/hooks/abcdefgh\n`, { headers: { "X-Thing": secretOf("hush\n") } }));
    expect([reply.status, reply.text, reply.headers.get("x-limit")]).toEqual([202, "taken", "7"]);
    const [asked] = chat.requests;
    expect(asked).toMatchObject({ method: "POST", path: "/hooks/abcdefgh", text: '{"said":"é"}' });
    expect(asked?.headers.get("content-type")).toBe("application/json");
    expect(asked?.headers.get("user-agent")).toMatch(/^meshmac\/\d/);
    expect(asked?.headers.get("x-thing")).toBe("hush");
  });

  test("joins Basic and Bearer where nobody else sees the text", async () => {
    using tracker = remote(200);
    await sendPost(to(tracker.url, { basic: { user: "rené@acme.example", password: secretOf("päss") } }), outbound());
    await sendPost(to(tracker.url, { bearer: secretOf("perm:abc\n") }), outbound());
    const [basic, bearer] = tracker.requests.map(({ headers }) => headers.get("authorization"));
    expect(Buffer.from(basic?.replace("Basic ", "") ?? "", "base64").toString()).toBe("rené@acme.example:päss");
    expect(bearer).toBe("Bearer perm:abc");
  });

  test("sends no body where there is none", async () => {
    using tracker = remote(200);
    await sendPost({ method: "GET", url: tracker.url }, outbound());
    expect(tracker.requests[0]?.headers.has("content-type")).toBe(false);
  });

  test.each([301, 302, 307, 308])("answers a %i as it is, and follows it nowhere", async (status) => {
    using elsewhere = remote(200);
    using chat = remote({ status, headers: { Location: elsewhere.url } });
    expect((await replying(to(chat.url))).status).toBe(status);
    expect(elsewhere.requests).toEqual([]);
  });

  test.each([400, 404, 429, 500, 503])("never tries a %i again", async (status) => {
    using chat = remote(status);
    expect((await replying(to(chat.url))).status).toBe(status);
    expect(chat.requests).toHaveLength(1);
  });

  test("reads no more of a reply than it needs", async () => {
    using chat = remote({ status: 200, body: "x".repeat(200_000) });
    expect((await replying(to(chat.url))).text).toHaveLength(65_536);
    expect((await replying({ method: "GET", url: chat.url })).text).toHaveLength(200_000);
  });

  test("hides what the reply quotes of the secrets that it was sent", async () => {
    const token = "abcdefghijklmnopqrstuvwxyz";
    using chat = openRemote({
      service: ({ path, headers }) => ({ status: 400, body: `${path} ${headers.get("authorization")}` }),
    });
    const { text } = await replying(to(`${chat.url}/hooks/${token}`, { bearer: secretOf("perm:YmVhcmVyLTE.tok") }));
    expect(text).not.toContain(token);
    expect(text).not.toContain("YmVhcmVyLTE");
  });

  const refused: [why: string, code: string, url: string, more: object][] = [
    ["plain http to another machine", "plain_http", "http://chat.acme.example/hooks/abcdefghij", {}],
    ["no URL at all", "bad_url", "abcdefghij", {}],
    ["another protocol", "bad_url", "file:///etc/abcdefghij", {}],
    ["a certificate that cannot be read", "tls_file", "https://127.0.0.1:1/abcdefghij", { ca_file: "/nowhere/ca.pem" }],
  ];
  test.each(refused)("refuses %s, unsent and unsaid", async (_why, code, url, more) => {
    const failure = await failing(to(url), outbound(more));
    expect(failure).toMatchObject({ code, maybeSent: false });
    expect(failure.why).not.toContain("abcdefgh");
  });

  test("says when a secret cannot be read", async () => {
    const gone = new Secret("acme/gone.url", () => {
      throw new MeshError("permission", "secrets.d/acme/gone.url is gone");
    });
    expect(await failing(to("", { url: gone }))).toMatchObject({ code: "secret", maybeSent: false });
  });

  test.each(["http://127.0.0.1:1/x", "http://localhost:1/x", "http://[::1]:1/x"])(
    "lets plain http to %s pass",
    async (url) => {
      expect((await failing(to(url))).code).not.toBe("plain_http");
    },
  );

  test("lets plain http to another machine pass where that is allowed", async () => {
    expect((await failing(to("http://chat.invalid/x"), outbound({ allow_http: true }))).code).not.toBe("plain_http");
  });

  test.each(["reset", "accept-then-reset", "truncate", "garbage"] as const)(
    "a %s may have been sent",
    async (injected) => {
      using chat = remote(injected);
      expect(await failing(to(`${chat.url}/hooks/abcdefgh`))).toMatchObject({ maybeSent: true });
      expect(chat.requests).toHaveLength(1);
    },
  );

  test("a timeout may have been sent", async () => {
    const slow = gate();
    using chat = remote({ gate: slow });
    const failure = await failing(to(chat.url), outbound({ timeout: "30ms" }));
    expect(failure).toMatchObject({ code: "timeout", maybeSent: true });
    slow.open();
  });

  test("a connection that was refused was not sent", async () => {
    const closed = remote(200);
    closed.close();
    expect(await failing(to(closed.url))).toMatchObject({ code: "ECONNREFUSED", maybeSent: false });
    expect(await failing(to("https://chat.invalid/x"))).toMatchObject({ maybeSent: false });
  });

  test("a connection that a pool kept too long costs nothing: every post has its own", async () => {
    using chat = remote(200, 200, 200);
    for (let i = 0; i < 3; i++) await replying(to(chat.url));
    expect(chat.connections()).toBe(3);
  });

  test("names its target by host and the last four characters, in failures too", async () => {
    const sent = await sendPost(to("http://127.0.0.1:1/hooks/abcdefghijkl/"), outbound());
    expect(sent.place).toBe("127.0.0.1:1 …ijkl");
    expect(JSON.stringify(sent) + Bun.inspect(sent)).not.toContain("efgh");
  });

  test("asks the proxy that is named", async () => {
    using proxy = remote({ status: 200, body: "ok" });
    await replying(to("http://127.0.0.1:1/x"), outbound({ proxy: proxy.url }));
    expect(proxy.requests[0]?.path).toBe("http://127.0.0.1:1/x");
  });

  test("asks the proxy that the environment names, but for what it exempts", async () => {
    using proxy = remote(502);
    const script = join(dir, "proxied.ts");
    writeFileSync(
      script,
      `import { sendPost } from ${JSON.stringify(join(import.meta.dir, "../src/http.ts"))};
       await sendPost({ method: "POST", url: "https://" + process.argv[2] + "/x", body: {} }, { timeout: 5000, allow_http: false });`,
    );
    const env = { PATH: process.env.PATH ?? "", HTTPS_PROXY: proxy.url, NO_PROXY: "exempt.invalid" };
    for (const host of ["chat.invalid", "exempt.invalid"]) {
      const child = Bun.spawn([process.execPath, script, host], { env, stdout: "inherit", stderr: "inherit" });
      expect(await child.exited).toBe(0);
    }
    expect(proxy.requests.map(({ method, path }) => [method, path])).toEqual([["CONNECT", "chat.invalid:443"]]);
  });
});

describe.skipIf(!Bun.which("openssl"))("TLS", () => {
  const ca_file = join(dir, "cert.pem");
  const client_key = join(dir, "key.pem");
  let tls: { cert: string; key: string };

  beforeAll(() => {
    const config = join(dir, "openssl.cnf");
    const names = "DNS:localhost,IP:127.0.0.1";
    writeFileSync(
      config,
      `[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\n[dn]\nCN=localhost\n[ext]\nsubjectAltName=${names}\nbasicConstraints=critical,CA:TRUE\n`,
    );
    const made = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-keyout", client_key, "-out", ca_file];
    const { exitCode, stderr } = Bun.spawnSync(["openssl", "req", ...made, "-config", config]);
    if (exitCode !== 0) throw new Error(stderr.toString());
    tls = { cert: readFileSync(ca_file, "utf8"), key: readFileSync(client_key, "utf8") };
  });

  test("an unknown issuer is refused before anything is sent, unless its certificate was given", async () => {
    using chat = openRemote({ tls });
    expect(await failing(to(`${chat.url}/hooks/abcdefgh`))).toMatchObject({ maybeSent: false });
    expect(chat.requests).toEqual([]);
    expect((await replying(to(chat.url), outbound({ ca_file }))).text).toBe("ok");
  });

  test("shows its client certificate where one is asked for", async () => {
    using chat = openRemote({ tls: { ...tls, ca: tls.cert } });
    expect((await failing(to(chat.url), outbound({ ca_file }))).code).toBeString();
    expect(chat.requests).toEqual([]);
    const known = outbound({ ca_file, client_cert: ca_file, client_key });
    expect((await replying(to(chat.url), known)).text).toBe("ok");
  });
});

describe("call", () => {
  test("speaks over a Unix socket, bytes both ways, any status", async () => {
    const unix = join(dir, "s.sock");
    const server = Bun.serve({
      unix,
      fetch: async (request) => new Response(new Uint8Array([0, 255, ...(await request.bytes())]), { status: 409 }),
    });
    const body = new Uint8Array([1, 2, 0]);
    const answer = await call({ method: "POST", url: "http://localhost/x", unix, body, timeout_ms: 5000 });
    expect([answer.status, ...answer.bytes]).toEqual([409, 0, 255, 1, 2, 0]);
    await server.stop(true);
  });

  test("throws unavailable, without the URL, when there is no answer", async () => {
    const closed = remote(200);
    closed.close();
    for (const where of [
      { url: `${closed.url}/abcdefghij` },
      { url: "http://localhost/abcdefghij", unix: join(dir, "none") },
    ]) {
      const fault = await call({ method: "GET", timeout_ms: 5000, ...where }).catch((error: unknown) => error);
      expect(fault).toBeInstanceOf(MeshError);
      expect(fault).toMatchObject({ kind: "unavailable" });
      expect(Bun.inspect(fault).replace(/\n.*\d+ \|.*/g, "")).not.toContain("abcdef");
    }
  });

  test("ends with its caller's signal, and with its time", async () => {
    const slow = gate();
    using server = remote({ gate: slow });
    const over = new AbortController();
    const asked = call({ method: "GET", url: server.url, timeout_ms: 60_000, signal: over.signal });
    await server.arrived(1);
    over.abort();
    await expect(asked).rejects.toMatchObject({ kind: "unavailable", message: expect.stringContaining("aborted") });
    await expect(call({ method: "GET", url: server.url, timeout_ms: 20 })).rejects.toMatchObject({
      message: expect.stringContaining("timeout"),
    });
    slow.open();
  });
});
