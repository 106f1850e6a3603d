import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type Claim,
  claimIn,
  proofOf,
  proves,
  provenHeaders,
  type SignatureRule,
  tokenIn,
  type Verify,
} from "../../src/core/verify.ts";
import { github, gitlab, hubSignature, linear, standardWebhooks } from "../../src/core/verify-presets.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Judges a request as the door does: what its headers claim, then whether the body was signed so. */
function judge(
  rule: SignatureRule | undefined,
  headers: Record<string, string>,
  body: string,
  secret: string,
  now = 0,
) {
  const claim = rule ? claimIn(new Headers(headers), rule, now) : null;
  if (claim === null || "wrong" in claim) return claim;
  return proves(proofOf(claim, bytes(body)), bytes(secret));
}

describe("the vendors' own examples", () => {
  // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
  test("GitHub's", () => {
    const code = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    const signed = (body: string) =>
      judge(github.signature, { "X-Hub-Signature-256": code }, body, "It's a Secret to Everybody");
    expect(signed("Hello, World!")).toBe(true);
    expect(signed("Hello, World")).toBe(false);
  });

  // https://developer.atlassian.com/cloud/jira/platform/webhooks/#secure-admin-webhooks
  test("Jira's", () => {
    const code = "sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9";
    const rule = hubSignature("X-Hub-Signature");
    expect(judge(rule, { "X-Hub-Signature": code }, "Hello World!", "It's a Secret to Everybody")).toBe(true);
  });

  // https://github.com/standard-webhooks/standard-webhooks/blob/main/libraries/javascript/src/index.test.ts
  const standard = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  };
  const at = 1_614_265_330_000;
  const minute = 60_000;
  const signed = (more: Record<string, string>, now = at, secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") =>
    judge(standardWebhooks.signature, { ...standard, ...more }, '{"test": 2432232314}', secret, now);

  test.each([
    ["as it stands", {}, at, true],
    [
      "beside another key's",
      { "webhook-signature": `v1,${"A".repeat(43)}= ${standard["webhook-signature"]}` },
      at,
      true,
    ],
    ["beside an asymmetric one", { "webhook-signature": `v1a,c2lnbmVk ${standard["webhook-signature"]}` }, at, true],
    [
      "under another version alone",
      { "webhook-signature": standard["webhook-signature"].replace("v1,", "v2,") },
      at,
      false,
    ],
    ["of another id", { "webhook-id": "msg_other" }, at, false],
    ["five minutes early", {}, at - 5 * minute, true],
    ["five minutes late", {}, at + 5 * minute, true],
    ["later than that", {}, at + 5 * minute + 1, { wrong: "the signed timestamp is 300 s away from our clock" }],
    ["of no time", { "webhook-timestamp": "soon" }, at, { wrong: "the signed timestamp is no number of seconds" }],
  ])("Standard Webhooks', %s", (_about, headers, now, expected) => expect(signed(headers, now)).toEqual(expected));

  test("Standard Webhooks', with a key that is none, opens nothing", () => {
    expect(signed({}, at, "not base64, so no key of this kind")).toBe(false);
  });

  test.each(["webhook-id", "webhook-timestamp"])("what is signed too must be there: %s", (name) => {
    const { [name]: _, ...rest } = standard as Record<string, string>;
    const rule = standardWebhooks.signature;
    expect(rule && claimIn(new Headers(rest), rule, at)).toEqual({ wrong: `no ${name} header, which is signed too` });
  });

  test("GitLab's signature is that of Standard Webhooks, days later too", () => {
    const later = at + 6 * 24 * 60 * minute;
    expect(
      judge(gitlab.signature, standard, '{"test": 2432232314}', "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", later),
    ).toBe(true);
  });
});

const rules: [name: string, verify: Verify][] = [
  ["github", github],
  ["linear", linear],
  ["standard-webhooks", standardWebhooks],
  [
    "one that is described",
    {
      ids: [],
      signature: {
        header: "X-Sign",
        prefix: "v0=",
        encoding: "base64",
        signed: "v0:{timestamp}:{body}",
        timestamp: { header: "X-Time", tolerance_ms: 1000 },
        key: "text",
      },
    },
  ],
];

describe.each(rules)("%s", (_name, verify) => {
  const secret = `whsec_${Buffer.from("a key of forty bytes, for the tests only").toString("base64")}`;
  const other = `whsec_${Buffer.from("another key of the same size, no more no").toString("base64")}`;
  const now = 1_790_000_000_000;
  const accepted = (headers: Record<string, string>, body: string, key: string) =>
    judge(verify.signature, headers, body, key, now);

  test("takes what it signed, whatever the body, and nothing else", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (body, changed) => {
        fc.pre(Buffer.from(body).compare(Buffer.from(changed)) !== 0);
        const headers = provenHeaders(verify, secret, { body, id: "msg_1", now });
        expect(accepted(headers, body, secret)).toBe(true);
        expect(accepted(headers, changed, secret)).toBe(false);
        expect(accepted(headers, body, other)).toBe(false);
      }),
      { numRuns: 200 },
    );
  });

  test("takes no header that it did not make", () => {
    const headers = provenHeaders(verify, secret, { body: "{}", id: "msg_1", now });
    const name = verify.signature?.header ?? "";
    const right = headers[name] ?? "";
    for (const wrong of ["", " ", "sha256=", "v1,", right.slice(0, -2), `${right}00`, "x".repeat(5000)]) {
      expect(accepted({ ...headers, [name]: wrong }, "{}", secret)).not.toBe(true);
    }
  });
});

test("of a hundred codes no more than eight are tried", () => {
  const rule = hubSignature("X-Hub-Signature-256");
  const [value] = Object.values(
    provenHeaders({ signature: rule, ids: [] }, "k".repeat(40), { body: "{}", id: "", now: 0 }),
  );
  const claim: Claim = { rule, value: `${"sha256=00 ".repeat(100)}${value}`, id: "", timestamp: "" };
  expect(proofOf(claim, bytes("{}")).codes).toEqual([]);
});

test.each([
  ["Bearer abc", "Bearer ", "abc"],
  ["bearer abc", "Bearer ", "abc"],
  ["Basic abc", "Bearer ", null],
  ["abc", "", "abc"],
])("the token in %j after %j is %p", (presented, prefix, expected) =>
  expect(tokenIn(presented, prefix)).toBe(expected),
);
