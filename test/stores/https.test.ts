import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configFrom } from "../../src/config.ts";
import { Secret } from "../../src/core/secret.ts";
import { openCertificate } from "../../src/gateway/certificate.ts";
import { FailedTokens } from "../../src/gateway/failed-tokens.ts";
import { masksOf } from "../../src/gateway/masked-store.ts";
import { openNodes } from "../../src/gateway/nodes.ts";
import { nodeToken } from "../../src/gateway/nodes-tokens.ts";
import { Quiet } from "../../src/gateway/quiet.ts";
import { createToken, openVault, writeSecret } from "../../src/secrets.ts";
import { openOverHttps } from "../../src/stores/remote.ts";
import { openSqlite } from "../../src/stores/sqlite.ts";
import type { NodeStore, Store } from "../../src/stores/store.ts";
import { certify } from "../fakes/authority.ts";
import { remote } from "../fakes/remote.ts";
import { askOf, heldOf, leased, queue, rulesOf, type NodeSide } from "./conformance/given.ts";
import { nodeConformance } from "./conformance.ts";

const root = mkdtempSync(join(tmpdir(), "meshmac-https-"));
const tls = certify(root);
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function open() {
  const dir = mkdtempSync(join(root, "g-"));
  const store = await openSqlite({ path: join(dir, "meshmac.db"), state_dir: dir });
  const { config } = configFrom(
    {
      gateway: { nodes: { listen: "127.0.0.1:0", url: "https://mesh.example" }, tls: { cert: tls.cert, key: tls.key } },
    },
    { base: dir, env: {} },
  );
  let ticks = 0;
  // Every look is a fresh one: a test adds a node and uses it at once.
  const vault = openVault(config.secrets_dir, () => (ticks += 1000));
  const rooms = { failed: new FailedTokens(), masks: masksOf(vault), quiet: new Quiet() };
  const certificate = config.gateway.tls ? openCertificate(config.gateway.tls) : null;
  const side = openNodes({ config, certificate, vault, store, ...rooms });
  if (!side) throw new Error("no node side");
  const node = everyNode(store, side.url, config.secrets_dir);
  const close = async () => {
    await side.stop();
    certificate?.stop();
    await store.close();
  };
  return { store, node, url: side.url, secrets_dir: config.secrets_dir, close };
}

const over = (url: string, secrets_dir: string, node: string, ca_file: string | undefined = tls.ca_file) =>
  openOverHttps({
    connect: url,
    token: new Secret(nodeToken(node), () => openVault(secrets_dir).read(nodeToken(node))),
    timeout: 10_000,
    allow_http: false,
    ca_file,
  });

function enrol(secrets_dir: string, node: string): void {
  if (!existsSync(join(secrets_dir, nodeToken(node)))) writeSecret(secrets_dir, nodeToken(node), createToken());
}

/** Whichever node speaks has a token of its own; what operators ask is none of the nodes' side. */
function everyNode(store: Store, url: string, secrets_dir: string): NodeSide {
  const lines = new Map<string, Promise<NodeStore>>();
  const as = (node: string): Promise<NodeStore> => {
    enrol(secrets_dir, node);
    const line = lines.get(node) ?? over(url, secrets_dir, node);
    lines.set(node, line);
    return line;
  };
  return {
    ...store,
    lease: async (ask, wait) => await (await as(ask.node)).lease(ask, wait),
    renew: async (node, held, wait) => await (await as(node)).renew(node, held, wait),
    log: async (chunk) => await (await as(chunk.node)).log(chunk),
    finish: async (result) => await (await as(result.mesh_node_id)).finish(result),
    report: async (report) => await (await as(report.mesh_node_id ?? "mac-07")).report(report),
  };
}

nodeConformance("remote, over HTTPS", open);

describe("a node over HTTPS", () => {
  test("ends a waiting lease at once when it hangs up, and the next node gets the run", async () => {
    const { node, store, close } = await open();
    await store.publish(rulesOf());
    const gone = new AbortController();
    const first = node.lease(askOf({ node: "mac-01" }), { ms: 60_000, signal: gone.signal });
    gone.abort();
    expect(await first).toBeNull();
    const task = await queue(store);
    expect((await leased(node, askOf({ node: "mac-02" }))).task.run_id).toBe(task.run_id);
    await close();
  });

  test("hears of a cancel while its renewal waits", async () => {
    const { node, store, close } = await open();
    await store.publish(rulesOf());
    await queue(store);
    const held = heldOf(await leased(node));
    const waiting = node.renew("mac-07", [held], { ms: 60_000 });
    await store.cancel(held.run_id, "not needed");
    expect((await waiting).words).toEqual(["cancel"]);
    await close();
  });

  test("waits no longer than its gateway lives", async () => {
    const { node, store, close } = await open();
    await store.publish(rulesOf());
    const waiting = node.lease(askOf(), { ms: 60_000 }).catch((error: unknown) => error);
    await close();
    expect([null, expect.objectContaining({ kind: "unavailable" })]).toContainEqual(await waiting);
  });

  test("names the authority to trust where the certificate is a stranger's, and no URL", async () => {
    const { url, secrets_dir, close } = await open();
    enrol(secrets_dir, "mac-07");
    const stranger = await over(url, secrets_dir, "mac-07", join(root, "nobody.pem")).then((line) =>
      line.lease(askOf()).catch(String),
    );
    expect(stranger).toContain("a certificate or key file could not be read (ENOENT)");
    const bare = await openOverHttps({
      connect: url,
      token: new Secret("t", () => "x".repeat(64)),
      timeout: 10_000,
      allow_http: false,
    });
    const fault: unknown = await bare.lease(askOf()).catch((error: unknown) => error);
    expect(fault).toMatchObject({ kind: "unavailable", hint: expect.stringContaining("node.ca_file") });
    expect(String(fault)).not.toContain("https://");
    await close();
  });

  test("is told apart from a stranger, with what to do", async () => {
    const { url, secrets_dir, close } = await open();
    enrol(secrets_dir, "mac-07");
    const line = await openOverHttps({
      connect: url,
      token: new Secret("nodes/mac-07.token", () => createToken()),
      timeout: 10_000,
      allow_http: false,
      ca_file: tls.ca_file,
    });
    await expect(line.lease(askOf())).rejects.toMatchObject({
      kind: "permission",
      hint: expect.stringContaining("meshmac nodes add"),
    });
    await close();
  });

  test("goes through a proxy, which sees no verb and no token", async () => {
    const { url, secrets_dir, store, close } = await open();
    enrol(secrets_dir, "mac-07");
    await queue(store);
    let seen = "";
    const asked: string[] = [];
    const proxy = createServer((near) => {
      near.once("data", (head) => {
        asked.push(head.toString().split("\r\n")[0] ?? "");
        const far = connect(Number(new URL(url).port), "127.0.0.1", () => {
          near.write("HTTP/1.1 200 Connection established\r\n\r\n");
          near.on("data", (data) => (seen += data.toString("latin1")));
          near.pipe(far).pipe(near);
        });
        far.on("error", () => near.destroy());
      });
      near.on("error", () => {});
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const at = proxy.address();
    const token = readFileSync(join(secrets_dir, nodeToken("mac-07")), "utf8").trim();
    const line = await openOverHttps({
      connect: url,
      token: new Secret(nodeToken("mac-07"), () => token),
      timeout: 10_000,
      allow_http: false,
      ca_file: tls.ca_file,
      proxy: `http://127.0.0.1:${typeof at === "object" ? at?.port : 0}`,
    });
    expect(await line.lease(askOf())).not.toBeNull();
    expect(asked).toEqual([`CONNECT ${new URL(url).host} HTTP/1.1`]);
    expect(seen).not.toContain(token);
    expect(seen.length).toBeGreaterThan(100);
    await close();
    proxy.close();
  });

  test.each([
    ["a redirect", 302, "config"],
    ["a page of something else", 404, "config"],
    ["a proxy without its gateway", 502, "unavailable"],
  ])("takes %s for no gateway, and follows nothing", async (_about, status, kind) => {
    using other = remote({ status, headers: { location: "http://127.0.0.1:1/" }, body: "<html>" });
    const line = await openOverHttps({
      connect: other.url,
      token: new Secret("nodes/mac-07.token", () => "x".repeat(64)),
      timeout: 10_000,
      allow_http: false,
    });
    await expect(line.lease(askOf())).rejects.toMatchObject({ kind });
    expect(other.requests).toHaveLength(1);
  });

  test("does not speak plain http to another machine", async () => {
    const line = await openOverHttps({
      connect: "http://mesh.example",
      token: new Secret("nodes/mac-07.token", () => "x".repeat(64)),
      timeout: 10_000,
      allow_http: false,
    });
    await expect(line.lease(askOf())).rejects.toMatchObject({ kind: "config", message: "mesh.example is plain http" });
  });
});
