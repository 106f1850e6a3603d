import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configFrom } from "../../src/config.ts";
import { MeshError } from "../../src/core/error.ts";
import type { Report } from "../../src/core/records.ts";
import { notify } from "../../src/gateway/notify.ts";
import { nap } from "../../src/gateway/stir.ts";
import { openSqlite } from "../../src/stores/sqlite.ts";
import type { DestinationRow, GatewayRow, Store } from "../../src/stores/store.ts";
import { expandAll } from "../stores/conformance/given.ts";

const report: Report = {
  source: "notify",
  workflow: "nightly",
  state: "failed",
  branch: "main",
  commit: null,
  run_url: null,
  mesh_node_id: "mac-07",
  provider_run_id: "4711",
  failing_target: null,
};

const soon = { sleep: (ms: number, signal?: AbortSignal) => nap(Math.min(ms, 3), signal) };

/** A real store that claims to be a pool's, with one gateway that is silent for as long as each look says. */
async function stage(silences: number[], facts: GatewayRow["facts"] = {}) {
  const dir = mkdtempSync(join(tmpdir(), "meshmac-notify-"));
  const sqlite = await openSqlite({ path: join(dir, "meshmac.db"), state_dir: dir });
  let looks = 0;
  const store: Store = {
    ...sqlite,
    about: { kind: "redis", durability: "as it is" },
    gateways: async () => {
      const silent_ms = silences[Math.min(looks++, silences.length - 1)] ?? 0;
      return [{ gateway: "mac-01/7", facts, last_seen: 0, silent_ms }];
    },
    close: async () => {},
  };
  const { config, vault } = configFrom({ chats: { terminal: { kind: "console" } } }, { base: dir });
  const printed: string[] = [];
  const print = (line: string) => void printed.push(line);
  return {
    store,
    printed,
    errand: { config, vault, report, print, open: async () => ({ store, own: store }) },
    async [Symbol.asyncDispose]() {
      await sqlite.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

test("takes over from a gateway that fell silent", async () => {
  await using house = await stage([5_000, 20_000, 29_999, 30_000]);
  expect(await notify(house.errand, soon)).toMatchObject({ outcome: "sent", sender: "here" });
  expect(house.printed).toHaveLength(1);
});

test("does not wait for a gateway that is a standby", async () => {
  await using house = await stage([0], { sends: false });
  expect(await notify(house.errand, soon)).toMatchObject({ outcome: "sent", sender: "here" });
});

test("leaves the report to a gateway that lives, and says when nothing came of it in time", async () => {
  await using house = await stage([0]);
  expect(await notify(house.errand, { ...soon, ms: 0 })).toEqual({ outcome: "later", sender: "gateway", posts: [] });
  expect(await house.store.events(10)).toHaveLength(1);
  expect(house.printed).toEqual([]);
});

test("sends what was handed in before and never sent, where no gateway lives", async () => {
  await using house = await stage([60_000]);
  await house.store.report(report);
  expect(await notify(house.errand, soon)).toMatchObject({ outcome: "sent", sender: "here" });
  expect(await notify(house.errand, soon)).toMatchObject({ outcome: "seen" });
  expect(house.printed).toHaveLength(1);
});

test("tells nobody but the chat that was named, and lets no other chat lose what it is owed", async () => {
  await using house = await stage([60_000]);
  const { config, vault } = configFrom(
    { chats: { terminal: { kind: "console" }, other: { kind: "console" } } },
    { base: house.errand.config.state_dir },
  );
  await house.store.report({ ...report, provider_run_id: "4712" });
  const one = { ...report, chats: ["other"] };
  expect(await notify({ ...house.errand, config, vault, report: one }, soon)).toMatchObject({ outcome: "sent" });
  expect((await house.store.posts("notify/4711"))?.map(({ destination }) => destination)).toEqual(["chat:other"]);
  expect((await house.store.posts("notify/4712"))?.map(({ destination }) => destination)).toEqual([
    "chat:other",
    "chat:terminal",
  ]);
});

const gates: [string, Partial<DestinationRow>, string][] = [
  ["is closed off", { circuit: "open", cause: "config", why: "status 403" }, "status 403"],
  ["asked for a long pause", { paused_until: Date.now() + 3_600_000, why: "status 429" }, "status 429"],
];

test.each(gates)("does not wait for a chat that %s", async (_, gate, why) => {
  await using house = await stage([0]);
  const row = { name: "chat:terminal", failures: 1, opened_at: 0, waiting: 1, sending: 0 };
  const store: Store = {
    ...house.store,
    report: async (said) => {
      const answer = await house.store.report(said);
      await expandAll(house.store, "chat:terminal");
      return answer;
    },
    destinations: async () => [{ ...row, circuit: "closed", cause: null, paused_until: null, why: null, ...gate }],
  };
  const notified = await notify(
    { ...house.errand, open: async () => ({ store, own: store }) },
    { ...soon, closed_ms: 0 },
  );
  expect(notified).toMatchObject({ outcome: "later", posts: [{ status: "waiting", tries: 0, why }] });
});

test("hides what looks like a secret before it is stored", async () => {
  await using house = await stage([0]);
  const token = `glpat-${"Ab3".repeat(7)}`;
  await notify({ ...house.errand, report: { ...report, branch: token } }, { ...soon, ms: 0 });
  expect(JSON.stringify(await house.store.events(10))).not.toContain(token);
});

test.each([
  ["later", 4],
  ["unavailable", 1],
] as const)("asks again where the store is %s, %i times if need be", async (kind, times) => {
  await using house = await stage([60_000]);
  let faults = 0;
  const store: Store = {
    ...house.store,
    report: async (said) => {
      const answer = await house.store.report(said);
      if (faults++ < times) throw new MeshError(kind, "not now");
      return answer;
    },
  };
  const open = async () => ({ store, own: store });
  // What it handed in and never heard of is not taken for another's.
  expect(await notify({ ...house.errand, open }, soon)).toMatchObject({ outcome: "sent" });
});

test("gives up on a store that cannot be had", async () => {
  await using house = await stage([0]);
  const errand = { ...house.errand, open: () => Promise.reject(new MeshError("unavailable", "Redis did not answer")) };
  await expect(notify(errand, soon)).rejects.toMatchObject({ kind: "unavailable" });
});
