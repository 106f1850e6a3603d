import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { isGoodRef } from "../../src/core/ref.ts";

const good = [
  "main",
  "feature/empty-list",
  "v1.2.3",
  "refs/heads/main",
  "a",
  "release/2026.11",
  "fix#12",
  "Grün/ß",
  "a-b_c+d",
  "@a",
  "日本語",
  "x.locked",
];
test.each(good)("takes %j", (ref) => expect(isGoodRef(ref)).toBe(true));

const bad = [
  "",
  "-",
  "--upload-pack=x",
  "-main",
  "@",
  "/main",
  "main/",
  "a//b",
  ".hidden",
  "a/.b",
  "a.lock",
  "a.lock/b",
  "a..b",
  "a.",
  "a@{1}",
  "a b",
  "a~1",
  "a^",
  "a:b",
  "a?",
  "a*",
  "a[1",
  "a\\b",
  "a\nb",
  "a\u0000",
  "a\u007F",
  "a\u0085b",
  "a\u200Bb",
  "a\u202Eb",
  "\uFEFFmain",
  "a\uD800",
  " main",
  "main ",
];
test.each(bad)("refuses %j", (ref) => expect(isGoodRef(ref)).toBe(false));

test("counts bytes, not characters", () => {
  expect(isGoodRef("a".repeat(255))).toBe(true);
  expect(isGoodRef("a".repeat(256))).toBe(false);
  expect(isGoodRef("é".repeat(128))).toBe(false);
});

const gitTakes = (ref: string) => Bun.spawnSync(["git", "check-ref-format", "--allow-onelevel", ref]).exitCode === 0;

describe.skipIf(!Bun.which("git"))("beside git itself", () => {
  // A NUL cannot be an argument of a program at all.
  const piece = fc.constantFrom(..."ab/.-@{}~^:?*[\\ \t\u007F".split(""), "..", ".lock", "@{", "//", "é", "\u0001");

  test("takes nothing that git refuses, and refuses for reasons of its own only", () => {
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 6 }), (pieces) => {
        const ref = pieces.join("");
        return isGoodRef(ref) === (gitTakes(ref) && !ref.startsWith("-"));
      }),
      { numRuns: 300 },
    );
  });
});

test("takes no text with a control or format character", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => !(isGoodRef(text) && /[\p{Cc}\p{Cf}]/u.test(text))));
});
