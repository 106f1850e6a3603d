import { describe, expect, test } from "bun:test";
import { FailedTokens } from "../../src/gateway/failed-tokens.ts";
import { masksOf, maskDeep } from "../../src/gateway/masked-store.ts";
import { butFor, openGatehouse, told } from "./gatehouse.ts";

const path = (socket: string | null) => socket ?? "no socket";
const at = (socket: string | null, verb: string, init: RequestInit = { method: "POST" }) =>
  told(fetch(`http://meshmac${verb}`, { ...init, unix: path(socket) }));

describe("the owner's socket", () => {
  test.each([
    ["no JSON", "/api/v1/node/lease", "{", 400, "data"],
    ["another shape", "/api/v1/node/lease", `{"ask":{"node":""}}`, 400, "data"],
    ["a state that no node may claim", "/api/v1/node/finish", `{"run_id":"r","attempt":1,"state":"dead"}`, 400, "data"],
    ["a wait without an end", "/api/v1/node/renew", `{"node":"mac-07","held":[],"wait_ms":1e12}`, 400, "data"],
    ["a log without its place", "/api/v1/node/log?run_id=r", "bytes", 400, "data"],
    ["a negative offset", "/api/v1/node/log?run_id=r&node=n&attempt=1&offset=-1", "bytes", 400, "data"],
    [
      "a page without an end",
      "/api/v1/operator/read-log",
      `{"run_id":"r","attempt":1,"from":0,"limit":1e9}`,
      400,
      "data",
    ],
  ])("refuses %s with a reason", async (_about, verb, body, status, kind) => {
    await using house = await openGatehouse();
    const answer = await at(house.server.socket, verb, { method: "POST", body });
    expect([answer.status, answer.body.kind]).toEqual([status, kind]);
    expect(answer.body.error).toBeString();
  });

  test("knows no other verb and no other method", async () => {
    await using house = await openGatehouse();
    for (const verb of ["/api/v1/node/reap", "/api/v1/operator/publish", "/jira/openclaw", "/"]) {
      expect((await at(house.server.socket, verb)).status).toBe(404);
    }
    expect((await at(house.server.socket, "/api/v1/node/lease", { method: "GET" })).status).toBe(405);
  });

  test("keeps to itself what broke inside", async () => {
    await using house = await openGatehouse({
      wrap: (store) => butFor(store, { nodes: () => Promise.reject(new Error("inner detail")) }),
    });
    const { status, body } = await at(house.server.socket, "/api/v1/operator/nodes");
    expect([status, body.error, body.kind]).toEqual([500, "internal error", "bug"]);
  });

  test("is only for a store that has one owner", async () => {
    await using house = await openGatehouse({
      wrap: (store) => butFor(store, { about: { kind: "redis", durability: "" } }),
    });
    expect(house.server.socket).toBeNull();
  });
});

describe("wrong tokens", () => {
  test("are ten at once, then one a second", () => {
    let now = 0;
    const failed = new FailedTokens(() => now);
    const taken = (times: number) => Array.from({ length: times }, () => failed.take("a")).filter(Boolean).length;
    expect([taken(12), failed.take("b")]).toEqual([10, true]);
    now = 3000;
    expect(taken(5)).toBe(3);
    now = 1_000_000;
    expect(taken(20)).toBe(10);
  });

  test("are remembered of so many clients and no more", () => {
    const failed = new FailedTokens(() => 0);
    for (let i = 0; i < 10; i++) failed.take("first");
    for (let i = 0; i < 10_000; i++) failed.take(`other-${i}`);
    expect(failed.take("first")).toBe(true);
  });
});

describe("masks", () => {
  test("follow the vault as secrets rotate", () => {
    const values = ["old-secret-0123456789"];
    const { text } = masksOf({ values: () => [...values] });
    expect(text("old-secret-0123456789 new-secret-0123456789")).toBe("*** new-secret-0123456789");
    values.push("new-secret-0123456789");
    expect(text("old-secret-0123456789 new-secret-0123456789")).toBe("*** ***");
  });

  test("keep bytes that are no text as they are", () => {
    const { bytes } = masksOf({ values: () => ["Grüße-0123456789"] });
    const binary = Uint8Array.from({ length: 256 }, (_, i) => i);
    expect(bytes(binary)).toEqual(binary);
    const secret = Buffer.from("a Grüße-0123456789 b");
    expect(Buffer.from(bytes(secret)).toString()).toBe(`a ${"*".repeat(secret.length - 4)} b`);
  });

  test("reach every text in a value", () => {
    const { text } = masksOf({ values: () => ["secret-0123456789"] });
    const value = { a: ["secret-0123456789", 1, null], b: { c: "x secret-0123456789" } };
    expect(maskDeep(value, text)).toEqual({ a: ["***", 1, null], b: { c: "x ***" } });
  });
});
