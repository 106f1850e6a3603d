import { describe, expect, test } from "bun:test";
import type { Use } from "../../src/core/records.ts";
import { evidenceOf, type Testimony, testimonyIn } from "../../src/rotation/evidence.ts";
import { type Objection, objectionsTo } from "../../src/rotation/verdict.ts";
import type { Kind } from "../../src/rotation/subjects.ts";
import type { Looked } from "../../src/secrets/shelf.ts";
import type { TallyRow } from "../../src/core/use.ts";
import type { GatewayRow } from "../../src/stores/store.ts";

const secret = "jira/inbound.token";
const minute = 60_000;

const use = (over: Partial<Use>): Use => ({
  secret,
  key_id: "new",
  role: "next",
  loaded_ms: 10 * minute,
  count: 0,
  refused: 0,
  idle_ms: null,
  ...over,
});
const used = use({ count: 3, idle_ms: 1000 });
const old = use({ key_id: "old", role: "current", count: 9, idle_ms: 6 * minute });

const beat = (gateway: string, silent_ms = 0, facts = {}): GatewayRow => ({ gateway, facts, last_seen: 0, silent_ms });
const told = (gateway: string, uses: Use[], silent_ms = 900): TallyRow => ({ gateway, silent_ms, uses });

const looked = (over: Partial<Looked["ledger"]> = {}): Looked => ({
  current: { texts: ["x"], digest: "", key_id: "old", at: 0 },
  next: { texts: ["y"], digest: "", key_id: "new", at: 0 },
  prev: null,
  ledger: { v: 1, doing: null, staged: { key_id: "new", at: 0, reason: "planned" }, proof: null, retired: [], ...over },
});

interface Case {
  gateways?: GatewayRow[];
  tallies?: TallyRow[];
  store?: "redis" | "sqlite";
  kind?: Kind;
  ledger?: Partial<Looked["ledger"]>;
  quiet?: number;
  silent?: boolean;
  pairFault?: string;
}

async function ids(given: Case): Promise<Objection["id"][]> {
  const { gateways = [beat("g1")], tallies = [told("g1", [used, old])], store = "redis", kind = "door" } = given;
  const testimony: Testimony = await testimonyIn({ gateways: async () => gateways, uses: async () => tallies }, store);
  const objections = objectionsTo({
    subject: { name: secret, kind },
    looked: looked(given.ledger),
    evidence: given.silent ? null : evidenceOf(testimony, secret),
    quiet: given.quiet ?? 5 * minute,
    pairFault: given.pairFault ?? null,
  });
  for (const { says, hint, breaks } of objections) {
    expect([says, hint, breaks].every((text) => text.length > 10)).toBe(true);
  }
  return objections.map(({ id }) => id);
}

const two = [beat("g1"), beat("g2")];

describe("a commit is refused", () => {
  const cases: [string, Case, Objection["id"][]][] = [
    ["the new value was never used", { tallies: [told("g1", [use({}), old])] }, ["not-used"]],
    ["nobody has ever used anything", { tallies: [told("g1", [])] }, ["not-used"]],
    [
      "the new value was refused each time",
      { tallies: [told("g1", [use({ count: 2, refused: 2, idle_ms: 5 }), old])] },
      ["refused"],
    ],
    ["the old value was used just now", { tallies: [told("g1", [used, { ...old, idle_ms: 2000 }])] }, ["old-in-use"]],
    [
      "the old value was used a moment before quiet was over",
      { tallies: [told("g1", [used, { ...old, idle_ms: 5 * minute - 1 }])] },
      ["old-in-use"],
    ],
    [
      "another gateway saw the old value",
      { gateways: two, tallies: [told("g1", [used, old]), told("g2", [used, { ...old, idle_ms: 60_000 }])] },
      ["old-in-use"],
    ],
    [
      "a gateway that has stopped by now saw the old value",
      { tallies: [told("g1", [used, old]), told("g0", [{ ...old, role: null, idle_ms: 90_000 }], 80_000)] },
      ["old-in-use"],
    ],
    [
      "a gateway has not loaded the new value",
      { gateways: two, tallies: [told("g1", [used, old]), told("g2", [old])] },
      ["not-loaded"],
    ],
    [
      "a gateway has let go of the new value",
      { gateways: two, tallies: [told("g1", [used, old]), told("g2", [{ ...used, role: null }, old])] },
      ["not-loaded"],
    ],
    ["a gateway has said nothing yet", { gateways: two }, ["not-told"]],
    [
      "a gateway cannot write its uses",
      { gateways: two, tallies: [told("g1", [used, old]), told("g2", [used, old], 20_000)] },
      ["stale"],
    ],
    [
      "a gateway died a minute ago",
      {
        gateways: [beat("g1"), beat("g2", 65_000)],
        tallies: [told("g1", [used, old]), told("g2", [used, old], 60_000)],
      },
      ["died"],
    ],
    [
      "the owner of a SQLite file was killed and has come back",
      { store: "sqlite", gateways: [beat("g1", 100), beat("g0", 4000)] },
      ["died"],
    ],
    ["the store cannot be asked", { silent: true }, ["no-evidence"]],
    [
      "several things at once",
      { gateways: two, tallies: [told("g1", [use({}), { ...old, idle_ms: 1 }])] },
      ["not-told", "not-used", "old-in-use"],
    ],
    [
      "an incident, and the new value was never used",
      {
        tallies: [told("g1", [use({}), { ...old, idle_ms: 1 }])],
        ledger: { staged: { key_id: "new", at: 0, reason: "incident" } },
      },
      ["not-used"],
    ],
    ["no test post was taken by the new address", { kind: "chat" }, ["not-tried"]],
    [
      "the test post was of a value staged before",
      { kind: "chat", ledger: { proof: { key_id: "older", at: 0 } } },
      ["not-tried"],
    ],
    [
      "a proven pager key that a gateway has not",
      { kind: "pager", tallies: [told("g1", [old])], ledger: { proof: { key_id: "new", at: 0 } } },
      ["not-loaded"],
    ],
    [
      "a pair that does not belong together",
      { kind: "tls", pairFault: "the certificate and the key do not belong together" },
      ["pair"],
    ],
  ];
  test.each(cases)("while %s", async (_about, given, expected) => {
    expect(await ids(given)).toEqual(expected);
  });
});

describe("a commit is free to go", () => {
  const cases: [string, Case][] = [
    ["once the new value was used and the old one was quiet", {}],
    ["when the old value was never used", { tallies: [told("g1", [used])] }],
    ["with some refusals, as long as it worked", { tallies: [told("g1", [{ ...used, refused: 2 }, old])] }],
    [
      "in an incident, whoever still uses the old value",
      {
        tallies: [told("g1", [used, { ...old, idle_ms: 1 }])],
        ledger: { staged: { key_id: "new", at: 0, reason: "incident" } },
      },
    ],
    ["when no gateway runs", { gateways: [] }],
    ["beside a gateway that stopped in order", { gateways: [beat("g1"), beat("g2", 1000, { stopped: true })] }],
    ["beside a gateway that died long ago", { gateways: [beat("g1"), beat("g2", 6 * minute)] }],
    ["beside a gateway that has no use for it", { gateways: two, tallies: [told("g1", [used, old]), told("g2", [])] }],
    [
      "for an address whose test post was taken, though the old one is in use",
      {
        kind: "chat",
        tallies: [told("g1", [use({}), { ...old, idle_ms: 1 }])],
        ledger: { proof: { key_id: "new", at: 0 } },
      },
    ],
    ["for a certificate that is right", { kind: "tls", gateways: [] }],
  ];
  test.each(cases)("%s", async (_about, given) => {
    expect(await ids(given)).toEqual([]);
  });
});

test("what every gateway saw of one value is added up, and its last use is the latest", () => {
  const testimony: Testimony = {
    gateways: two,
    died: [],
    tallies: [
      told("g1", [use({ count: 2, idle_ms: 5000 })]),
      told("g2", [use({ count: 3, refused: 1, idle_ms: 400 })]),
      told("g3", [use({ count: 1, idle_ms: 9000 }), use({ secret: "another/one.token", count: 50 })]),
    ],
  };
  expect(evidenceOf(testimony, secret).uses.get("new")).toEqual({ count: 6, refused: 1, idle_ms: 400, by: "g2" });
});
