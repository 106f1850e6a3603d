import { afterEach, describe, expect, test } from "bun:test";
import { examine } from "../../src/doctor/doctor.ts";
import type { JsonObject } from "../../src/core/json.ts";
import { writeSecret } from "../../src/secrets.ts";
import { sources } from "../../src/sources/registry.ts";
import { type EdgeOptions, openEdge } from "./edge.ts";
import { Ward } from "./ward.ts";

const wards: Ward[] = [];
afterEach(async () => void (await Promise.all(wards.splice(0).map((ward) => ward.close()))));

async function behind(options: EdgeOptions): Promise<Ward> {
  const ward = await Ward.open();
  wards.push(ward);
  await openEdge(ward, options);
  return ward;
}

const foundBehind = async (options: EdgeOptions): Promise<string[]> => await (await behind(options)).ids();

test("an open door is no finding, and the knock queues nothing", async () => {
  const ward = await behind({});
  expect(await ward.ids()).toEqual([]);
  expect((await ward.store.list({ limit: 10 })).runs).toEqual([]);
});

describe("a source of every kind", () => {
  const key = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
  const entries = sources.map(({ kind }): [string, JsonObject] => [kind, { kind }]);
  const doors = [...entries, ["webhook, signed", { kind: "webhook", verify: "standard-webhooks" }] as const];

  async function having(entry: JsonObject): Promise<Ward> {
    const ward = await Ward.open();
    wards.push(ward);
    writeSecret(ward.secretsDir, "one/inbound.token", key);
    const common = {
      path: "/one",
      token: "one/inbound.token",
      build_when: [{ event: ["x"] }],
      task: { script: "one" },
    };
    ward.raw.sources = { one: { ...common, ...entry } };
    return ward;
  }

  test.each(doors)("%s: its door opens to a right delivery, which queues nothing", async (_, entry) => {
    const ward = await having(entry);
    await openEdge(ward);
    expect(await ward.ids()).toEqual([]);
    expect((await ward.store.list({ limit: 10 })).runs).toEqual([]);
  });

  test.each(doors)("%s: an edge that takes its header away", async (_, entry) => {
    const ward = await having(entry);
    await openEdge(ward, {
      edge(request) {
        const kept = new Set(["content-type", "user-agent", "host", "accept"]);
        const gone = Array.from(request.headers.keys()).filter((name) => !kept.has(name));
        for (const name of gone) request.headers.delete(name);
        return request;
      },
    });
    expect(await ward.ids()).toEqual(["header-stripped"]);
  });
});

describe("a certificate", () => {
  test.each([
    [13, ["tls-chain"]],
    [16, []],
  ])("good for %i more days", async (days, ids) => {
    expect(await foundBehind({ days })).toEqual(ids);
  });

  test("for another name, of an authority that is trusted", async () => {
    expect(await foundBehind({ names: "DNS:other.example" })).toEqual(["tls-chain"]);
  });
});

test.each([
  [200, "edge-refuses"],
  [301, "edge-refuses"],
  [401, "edge-refuses"],
  [403, "edge-refuses"],
  [404, "edge-refuses"],
  [413, "edge-refuses"],
  [500, "public-url-unreachable"],
  [504, "public-url-unreachable"],
])("an edge that answers %i by itself: %s", async (status, id) => {
  expect(await foundBehind({ edge: () => new Response("edge", { status }) })).toEqual([id]);
});

test("an edge that changes the token is one that does not pass the header on", async () => {
  const ward = await behind({
    edge(request) {
      if (request.headers.has("x-meshmac-jira-token")) request.headers.set("x-meshmac-jira-token", "0".repeat(64));
      return request;
    },
  });
  expect(await ward.ids()).toEqual(["header-stripped"]);
});

test("nobody listens at public_url", async () => {
  const ward = await behind({});
  ward.change("gateway", { public_url: "https://localhost:1" });
  expect(await ward.ids()).toEqual(["public-url-unreachable"]);
});

test.each([
  ["10.1.2.3", true],
  ["172.20.0.1", true],
  ["192.168.1.1", true],
  ["127.0.0.1", true],
  ["100.64.0.1", true],
  ["169.254.1.1", true],
  ["::1", true],
  ["fd00::1", true],
  ["fe80::1", true],
  ["::ffff:10.0.0.1", true],
  ["8.8.8.8", false],
  ["172.32.0.1", false],
  ["2001:db8::1", false],
])("%s is private: %p", async (address, isPrivate) => {
  const ward = await Ward.open();
  wards.push(ward);
  ward.change("gateway", { public_url: "https://localhost:1" });
  ward.over = { lookup: async () => [address] };
  const { findings } = await examine(ward.scene(), { only: ["public-url-private"] });
  expect(findings.length > 0).toBe(isPrivate);
});

test("a clock that two others contradict is our own", async () => {
  const ward = await behind({});
  ward.over.now = () => Date.now() + 40_000;
  const { findings } = await examine(ward.scene(), { only: ["clock-skew"] });
  expect(findings).toMatchObject([{ about: "this machine", says: expect.stringMatching(/ahead of/) }]);
});

test("no finding shows a token or a whole address", async () => {
  const edges: EdgeOptions[] = [
    { trusted: false },
    { edge: () => new Response("no", { status: 403 }) },
    { edge: (request) => (request.headers.delete("x-meshmac-jira-token"), request) },
  ];
  for (const options of edges) {
    const ward = await behind(options);
    const { findings } = await examine(ward.scene());
    const text = JSON.stringify(findings);
    expect(findings).toHaveLength(1);
    expect(text).not.toContain(ward.scene().vault.read("jira/inbound.token"));
    expect(text).not.toContain("https://localhost");
  }
});
