import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSocket } from "../../src/gateway/socket.ts";
import { masksOf } from "../../src/gateway/masked-store.ts";
import { isOwned, openRemote } from "../../src/stores/remote.ts";
import { openSqlite } from "../../src/stores/sqlite.ts";
import { askOf, leased, queue, rulesOf } from "./conformance/given.ts";
import { nodeConformance } from "./conformance.ts";

const root = mkdtempSync(join(tmpdir(), "meshmac-remote-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function open(state_dir = mkdtempSync(join(root, "s-")), values: string[] = []) {
  const store = await openSqlite({ path: join(state_dir, "meshmac.db"), state_dir, role: "owner" });
  const socket = await openSocket({ config: { state_dir }, store, masks: masksOf({ values: () => values }) });
  const name = join(state_dir, "meshmac.sock");
  const node = await openRemote({ socket: name });
  const close = async () => {
    await socket.stop();
    await store.close();
  };
  return { store, node, socket, name, close };
}

nodeConformance("remote, over the owner's socket", open);

describe("the owner's socket", () => {
  test("is for this user only", async () => {
    const { socket, close } = await open();
    expect(statSync(socket.path).mode & 0o777).toBe(0o600);
    await close();
    expect(existsSync(socket.path)).toBe(false);
  });

  test("takes the place of one that a killed owner left", async () => {
    const dir = mkdtempSync(join(root, "s-"));
    const killed = Bun.serve({ unix: join(dir, "meshmac.sock"), fetch: () => new Response("stale") });
    const { node, close } = await open(dir);
    expect(await node.nodes()).toEqual([]);
    await close();
    await killed.stop(true);
  });

  test("has a short path of its own where the state folder's is too long", async () => {
    const dir = join(mkdtempSync(join(root, "s-")), "a".repeat(60), "b".repeat(60));
    const { node, store, socket, name, close } = await open(dir);
    await store.publish(rulesOf());
    await queue(store);
    expect(socket.path.length).toBeLessThan(101);
    expect(statSync(`${name}.path`).mode & 0o777).toBe(0o600);
    expect((await node.list({ limit: 5 })).runs).toHaveLength(1);
    await close();
    expect(existsSync(`${name}.path`)).toBe(false);
    expect(existsSync(socket.path)).toBe(false);
  });

  test("says who owns it, and who does not", async () => {
    const { name, close } = await open();
    expect(await isOwned(name)).toBe(true);
    await close();
    expect(await isOwned(name)).toBe(false);
  });

  test("lets a node wait for an owner, and gives up when told to", async () => {
    const dir = mkdtempSync(join(root, "s-"));
    const waiting = openRemote({ socket: join(dir, "meshmac.sock"), waitForOwner: true });
    const { close } = await open(dir);
    expect(await (await waiting).nodes()).toEqual([]);
    await close();
    const none = openRemote({ socket: join(dir, "meshmac.sock"), waitForOwner: true, signal: AbortSignal.abort() });
    await none;
  });

  test("names what to do when nobody owns the store", async () => {
    const nobody = await openRemote({ socket: join(root, "nobody.sock") });
    await expect(nobody.nodes()).rejects.toMatchObject({ kind: "unavailable", hint: "start it: meshmac serve" });
  });

  test("carries what the owner threw, with its kind and hint", async () => {
    const { node, store, close } = await open();
    await store.publish(rulesOf());
    await queue(store, { run_id: "01a00000-0000-7000-8000-00000000abcd" });
    await queue(store, { run_id: "01b00000-0000-7000-8000-00000000abcd" });
    const message = await store.show("abcd").then(String, (error: Error) => error.message);
    await expect(node.show("abcd")).rejects.toMatchObject({ kind: "data", message });
    await close();
  });

  test("ends a waiting lease at once when its node hangs up, and leases to the next", async () => {
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

  test("ends every wait when the owner goes", async () => {
    const { node, store, close } = await open();
    await store.publish(rulesOf());
    const waiting = node.lease(askOf(), { ms: 60_000 }).catch((error: unknown) => error);
    await close();
    expect([null, expect.objectContaining({ kind: "unavailable" })]).toContainEqual(await waiting);
  });
});

describe("what comes in over the socket", () => {
  const canary = "canary-0123456789abcdef";

  test("is masked by exact value before it is stored", async () => {
    const { node, store, close } = await open(undefined, [canary]);
    await store.publish(rulesOf());
    await queue(store);
    const { task, attempt } = await leased(node);
    const held = { run_id: task.run_id, attempt, node: "mac-07" };
    const line = `token ${canary} and ${btoa(canary)}\n`;
    expect(await node.log({ ...held, offset: 0, bytes: Buffer.from(line) })).toBe(line.length);
    const result = { run_id: task.run_id, attempt, state: "failed" as const, mesh_node_id: "mac-07", reason: canary };
    const more = { commit: canary, failing_target: canary, summary: canary, run_url: `https://ci.example/${canary}` };
    const times = { started_at: 1, finished_at: 2, exit_code: 1, log_tail: [line.trim()] };
    expect(await node.finish({ ...result, ...more, ...times })).toBe("ok");
    const { bytes, size } = await store.readLog(task.run_id, attempt, 0, 1000);
    expect(size).toBe(line.length);
    const kept = JSON.stringify(await store.show(task.run_id)) + Buffer.from(bytes).toString();
    expect(kept).toContain("***");
    expect(kept).not.toContain(canary);
    expect(kept).not.toContain(btoa(canary).slice(0, 12));
    await close();
  });

  test("is masked where a secret is cut in two by a chunk's end", async () => {
    const { node, store, close } = await open(undefined, [canary]);
    await store.publish(rulesOf());
    await queue(store);
    const { task, attempt } = await leased(node);
    const held = { run_id: task.run_id, attempt, node: "mac-07" };
    const all = Buffer.from(`it is ${canary}, said the log: ${canary.slice(0, 9)}`);
    // A pump as the contract has it: it goes on from wherever the answer says.
    let offset = 0;
    for (let sent = 15; offset < all.length; sent = Math.min(all.length, sent + 10)) {
      const next = await node.log({ ...held, offset, bytes: all.subarray(offset, sent) });
      if (next === "stale") throw new Error("stale");
      offset = next;
    }
    const { bytes } = await store.readLog(task.run_id, attempt, 0, 1000);
    expect(Buffer.from(bytes).toString()).toBe(
      `it is ${"*".repeat(canary.length)}, said the log: ${canary.slice(0, 9)}`,
    );
    await close();
  });
});
