import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  defang,
  escapeWithin,
  lengthIn,
  oneLine,
  stripControls,
  truncate,
  webLink,
  withoutBackticks,
} from "../../src/core/text.ts";

const units = ["codepoints", "utf16", "bytes"] as const;

const entity = (character: string) => (character === "&" ? "&amp;" : character);

describe("escapeWithin", () => {
  test.each([
    ["a&b", 7, "codepoints", "a&amp;b"],
    ["a&b", 6, "codepoints", "a…"],
    ["&&&", 11, "codepoints", "&amp;&amp;…"],
    ["😀&", 6, "utf16", "😀…"],
    ["&", 4, "bytes", "…"],
    ["&", 2, "bytes", ""],
  ] as const)("cuts %j to %i %s: %j", (text, limit, unit, cut) => {
    expect(escapeWithin(text, limit, entity, unit)).toBe(cut);
  });
});

describe("truncate", () => {
  test.each([
    ["codepoints", 5, 4],
    ["utf16", 5, 5],
    ["bytes", 5, 8],
  ] as const)("measures in %s", (unit, _size, length) => {
    expect(lengthIn(unit, "é😀\u0000a")).toBe(length);
  });

  test.each([
    ["fits", 4, "codepoints", "fits"],
    ["does not fit", 5, "codepoints", "does…"],
    ["😀😀😀", 2, "codepoints", "😀…"],
    ["😀😀😀", 4, "utf16", "😀…"],
    ["😀😀😀", 3, "utf16", "😀…"],
    ["😀😀😀", 2, "utf16", "…"],
    ["ééé", 5, "bytes", "é…"],
    ["ééé", 2, "bytes", ""],
    ["", 0, "bytes", ""],
  ] as const)("cuts %j to %i %s: %j", (text, limit, unit, cut) => {
    expect(truncate(text, limit, unit)).toBe(cut);
  });

  test("never exceeds its limit, never breaks a character, keeps what fits", () =>
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.nat(40), fc.constantFrom(...units), (text, limit, unit) => {
        const cut = truncate(text, limit, unit);
        expect(lengthIn(unit, cut)).toBeLessThanOrEqual(limit);
        expect(cut.isWellFormed()).toBe(true);
        if (lengthIn(unit, text) <= limit) expect(cut).toBe(text);
        else expect(text.startsWith(cut.replace(/…$/, ""))).toBe(true);
      }),
    ));
});

test.each([
  ["plain text", "plain text"],
  ["a\u0000b\u001Bc\u009Bd", "abcd"],
  ["a\r\nb\rc\u2028d", "a\nb\nc\nd"],
  ["tab\tstays", "tab\tstays"],
  ["\u202Egnp.exe\u2066x\u2069", "gnp.exex"],
  ["lone \uD83D here", "lone \uFFFD here"],
  ["tag\u{E0041}\u{E0042}s", "tags"],
])("strips controls from %j", (text, stripped) => expect(stripControls(text)).toBe(stripped));

test("puts a text on one line", () => expect(oneLine("  a\n\n\tb\u2029c  ")).toBe("a b c"));

test.each([
  ["@all", "@\u200Ball"],
  ["<!here>", "<\u200B!here>"],
  ["<@U1>", "<\u200B@\u200BU1>"],
  ["https://evil.example", "https:\u200B//evil.example"],
  ["WWW.evil.example", "WWW\u200B.evil.example"],
  ["Fix cart (again), 2 of 3: a/b", "Fix cart (again), 2 of 3: a/b"],
])("defangs %j", (text, safe) => expect(defang(text)).toBe(safe));

test("leaves nothing that would end a code span", () => expect(withoutBackticks("a`b```c")).toBe("a'b'''c"));

test.each([
  ["https://builds.acme.example/runs/1", "https://builds.acme.example/runs/1"],
  ["http://[::1]:8788/runs/1", "http://[::1]:8788/runs/1"],
  ["https://acme.example/a(b)|c@d?x=<y>#`z", "https://acme.example/a%28b%29%7Cc%40d?x=%3Cy%3E#%60z"],
  ["https://acme.example/a b\n", "https://acme.example/a%20b"],
  ["javascript:alert(1)", null],
  ["data:text/html,x", null],
  ["https://user:pass@acme.example/", null],
  ["//acme.example", null],
  ["not a link", null],
  ["", null],
  [null, null],
  [`https://acme.example/${"x".repeat(3000)}`, null],
])("makes a link of %j: %j", (text, link) => expect(webLink(text)).toBe(link));
