import { afterAll, afterEach, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Folder } from "../config/folder.ts";
import { certify, type Certified } from "../fakes/authority.ts";
import { type Gatehouse, openGatehouse, tokens, wanted } from "../gateway/gatehouse.ts";
import { askOf, heldOf, leased, resultOf } from "../stores/conformance/given.ts";

// An operator's machine: no store, the admin side of a gateway over HTTPS.

setDefaultTimeout(60_000);

const main = join(import.meta.dir, "../../commands/main.ts");
const root = mkdtempSync(join(tmpdir(), "meshmac-remote-"));
let authority: Certified;
let house: Gatehouse;
let edge: Bun.Server<undefined>;
let away: Folder;

beforeAll(async () => {
  authority = certify(root);
  house = await openGatehouse({
    gateway: { admin: { listen: "127.0.0.1:0", token: "admin/api.token", url: "https://builds.acme.internal" } },
  });
  // What stands before an admin side: it ends TLS.
  edge = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: { cert: Bun.file(authority.cert), key: Bun.file(authority.key) },
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const { method, headers } = request;
      return await fetch(house.server.adminUrl + pathname + search, {
        method,
        headers,
        ...(method === "POST" && { body: await request.bytes() }),
      });
    },
  });
  away = new Folder();
  away.write("secrets.d/admin/api.token", tokens.admin);
  away.write("secrets.d/wrong/api.token", "wrong-0123456789abcdef0123456789abcdef");
  away.write("meshmac.config.json", JSON.stringify(asking({ ca_file: authority.ca_file })));
  away.write("untrusted.json", JSON.stringify(asking({})));
  away.write("wrong.json", JSON.stringify(asking({ ca_file: authority.ca_file, token: "wrong/api.token" })));
  const node = { connect: "https://mesh.example", token: "nodes/mac-07.token" };
  away.write("node.json", JSON.stringify({ node, ...asking({ ca_file: authority.ca_file }) }));
  away.write("node-alone.json", JSON.stringify({ node }));
});

const asking = (more: object) => ({
  gateway: { admin: { url: `https://localhost:${edge.port}`, token: "admin/api.token", ...more } },
});

afterAll(async () => {
  await edge.stop(true);
  await house.close();
  away[Symbol.dispose]();
  rmSync(root, { recursive: true, force: true });
});

afterEach(async () => {
  const { runs } = await house.store.list({ limit: 100, states: ["queued"] });
  for (const { run_id } of runs) await house.store.cancel(run_id, "the test is over");
});

function start(...words: string[]) {
  return Bun.spawn([process.execPath, main, ...words], {
    cwd: away.path,
    env: { PATH: process.env.PATH ?? "", HOME: away.path, USER: "ada" },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function said(...words: string[]) {
  const child = start(...words);
  const [code, out, err] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  return { code, out, err };
}

let issues = 100;
const queued = async (): Promise<string> => String((await house.deliver(wanted(`MOB-${issues++}`))).body.run_id);
const log = (text: string, attempt: number, run_id: string, offset = 0) =>
  house.store.log({ node: "mac-07", run_id, attempt, offset, bytes: new TextEncoder().encode(text) });

test("runs are listed, shown, cancelled and queued again from a machine without a store", async () => {
  const run_id = await queued();
  expect(JSON.parse((await said("runs", "list", "--json", "--state", "queued")).out).runs).toMatchObject([{ run_id }]);
  expect((await said("runs", "show", run_id.slice(-12))).out).toContain("script    build-ios on lane ios");
  const unfinished = await said("runs", "retry", run_id);
  expect([unfinished.code, unfinished.err]).toEqual([65, expect.stringContaining("is not over")]);
  expect(await said("runs", "cancel", run_id)).toMatchObject({ code: 0, out: `cancelled ${run_id}\n` });
  expect((await house.store.show(run_id))?.run).toMatchObject({
    state: "cancelled",
    reason: expect.stringContaining("cancelled by "),
  });
  const again = JSON.parse((await said("runs", "retry", run_id, "--json")).out);
  expect(again.retry_of).toBe(run_id);
  expect((await house.store.show(again.run_id))?.run).toMatchObject({ state: "queued", retry_of: run_id });
  expect(await said("runs", "show", "0000nowhere")).toMatchObject({ code: 65, err: expect.stringContaining("no run") });
  expect(() => statSync(join(away.path, "state"))).toThrow("ENOENT");
});

test("a log is followed until its run is over, without the gateway's secrets", async () => {
  await queued();
  const held = heldOf(await leased(house.store));
  const [run_id, attempt] = [held.run_id, held.attempt];
  const first = `compiling\ntoken ${tokens.jira}\n`;
  await log(first, attempt, run_id);
  const follower = start("runs", "logs", "-f", run_id.slice(-12), "--config", "node.json");
  let seen = "";
  const reader = (async () => {
    for await (const bytes of follower.stdout) {
      seen += new TextDecoder().decode(bytes);
      if (!seen.includes("linking") && seen.includes("compiling")) {
        await log("linking\n", attempt, run_id, first.length);
        await house.store.finish(resultOf(held));
      }
    }
  })();
  expect(await follower.exited).toBe(0);
  await reader;
  expect(seen).toMatch(/^compiling\ntoken \S+\nlinking\n$/);
  expect(seen).not.toContain(tokens.jira);
  expect((await said("runs", "logs", run_id)).out).toBe(seen);
});

test("a log shows no part of a secret, wherever a page of it ends", async () => {
  await queued();
  const held = heldOf(await leased(house.store));
  // One line, of which a page ends within the secret.
  const text = `${"x".repeat(256 * 1024 - 10)}${tokens.jira}${"x".repeat(300_000)}`;
  for (let at = 0; at < text.length; at += 200_000)
    await log(text.slice(at, at + 200_000), held.attempt, held.run_id, at);
  await house.store.finish(resultOf(held));
  const { out } = await said("runs", "logs", held.run_id);
  expect(out.length).toBe(text.length);
  expect(/[^x*]/.exec(out)).toBeNull();
});

test("lanes and nodes are looked at and set; what only the gateway's machine can do says so", async () => {
  await house.store.lease(askOf({ node: "mac-07" }));
  expect(JSON.parse((await said("lanes", "list", "--json")).out).lanes).toContainEqual(
    expect.objectContaining({ lane: "ios" }),
  );
  expect((await said("lanes", "pause", "ios", "--why", "moving house")).code).toBe(0);
  expect((await said("lanes", "list")).out).toContain("lane ios is paused: moving house");
  expect((await said("lanes", "resume", "ios")).code).toBe(0);
  expect((await said("nodes", "drain", "mac-07")).code).toBe(0);
  expect((await said("nodes", "list")).out).toContain("drained");
  expect((await said("nodes", "resume", "mac-07")).code).toBe(0);
  const hold = await said("lanes", "hold", "signing", "--for", "1m", "--", "true");
  expect([hold.code, hold.err]).toEqual([78, expect.stringContaining("on a machine that has the store")]);
  const remove = await said("nodes", "remove", "mac-07");
  expect([remove.code, remove.err]).toEqual([78, expect.stringContaining("cannot be asked over the admin side")]);
});

test.each([
  [["--config", "wrong.json"], 77, "does not take this admin token (wrong/api.token)"],
  [["--config", "untrusted.json"], 69, "gateway.admin.ca_file"],
  [["--config", "node-alone.json"], 78, "gateway.admin.url and gateway.admin.token"],
])("runs list %j ends with %i", async (words, status, hint) => {
  const { code, err } = await said("runs", "list", ...words);
  expect([code, err]).toEqual([status, expect.stringContaining(hint)]);
  expect(err).not.toContain("0123456789abcdef");
});

/** Asks a verb of the admin side directly. */
const ask = (verb: string, body: unknown, headers: Record<string, string> = {}, method = "POST") =>
  fetch(`${house.server.adminUrl}/api/v1/operator/${verb}`, {
    method,
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${tokens.admin}`, ...headers },
    ...(method === "POST" && { body: JSON.stringify(body) }),
  });

test("the admin side takes no task that it has not had, and nothing without its token or from another origin", async () => {
  const run_id = await queued();
  const { task } = (await house.store.show(run_id)) ?? {};
  await house.store.cancel(run_id, "not needed");
  const fresh = () => Bun.randomUUIDv7();
  const entry = (more: object, id = fresh()) => ({
    task: { ...task, run_id: id, script: "another", repo_url: "https://evil.example/x.git", ref: "evil" },
    marks: [],
    seen_at: 1,
    ...more,
  });
  expect((await ask("accept", entry({}))).status).toBe(400);
  expect((await ask("accept", entry({ retry_of: fresh() }))).status).toBe(400);
  expect((await ask("accept", entry({ retry_of: run_id }, "x"))).status).toBe(400);
  const id = fresh();
  for (let twice = 0; twice < 2; twice++) {
    const answer = await ask("accept", entry({ retry_of: run_id }, id));
    expect([answer.status, await answer.json()]).toMatchObject([200, { run_id: id }]);
  }
  expect((await house.store.show(id))?.run).toMatchObject({ script: "build-ios", ref: "main", retry_of: run_id });
  expect((await house.store.list({ limit: 100, states: ["queued"] })).runs).toHaveLength(1);

  for (const verb of ["tally", "hold", "unhold", "forget", "uses", "lease", "../node/lease"])
    expect((await ask(verb, {})).status).toBe(404);
  expect((await ask("list", { limit: 1 }, { Authorization: "" })).status).toBe(401);
  expect((await ask("list", { limit: 1 }, { Authorization: `Bearer ${"x".repeat(40)}` })).status).toBe(401);
  expect((await ask("list", { limit: 1 }, { Origin: "https://evil.example" })).status).toBe(403);
  expect((await ask("list", { limit: 1 }, { "Content-Type": "text/plain" })).status).toBe(415);
  expect((await ask("list", {}, {}, "GET")).status).toBe(405);
  await using tokenless = await openGatehouse();
  const unasked = await fetch(`${tokenless.server.adminUrl}/api/v1/operator/list`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: '{"limit":1}',
  });
  expect(unasked.status).toBe(403);
  const onPublic = await fetch(`${house.server.publicUrl}/api/v1/operator/list`, { method: "POST", body: "{}" });
  expect(onPublic.status).toBe(404);
});
