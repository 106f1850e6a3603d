import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { LineMask } from "../../src/core/lines.ts";
import { secretSpans } from "../../src/core/redact.ts";

// A log arrives in pieces of any size: nothing depends on where they are cut.

const values = ["acme-canary-value/one+two", "päßwörd 🌲 & more", "a".repeat(40) + "9"];
const find = secretSpans(values);
const latin1 = (text: string): string => Buffer.from(text, "utf8").toString("latin1");
const encodings: ((value: string) => string)[] = [
  (value) => value,
  encodeURIComponent,
  (value) => encodeURIComponent(value).replaceAll("%20", "+"),
  (value) => JSON.stringify(value).slice(1, -1),
  (value) => value.replaceAll("&", "&amp;").replaceAll("<", "&lt;"),
  (value) => Buffer.from(value).toString("base64"),
  (value) => Buffer.from(`x${value}`).toString("base64"),
  (value) => Buffer.from(`xy${value}zzz`).toString("base64url"),
];
const hidden = values.flatMap((value) => encodings.map((encode) => latin1(encode(value))));
/** The middle of each form: its ends depend, in Base64, on what stands around it. */
const cores = hidden.map((form) => form.slice(4, -4));

const noise = fc.oneof(
  fc.constantFrom(
    "\n",
    "\r\n",
    "\n\n",
    " ",
    "\u001B[31m",
    "\u001B[0m",
    "error: ",
    "x".repeat(9000),
    "y".repeat(70_000),
  ),
  fc.constantFrom("-----BEGIN PRIVATE KEY-----\n", "MIIabc\n", "-----END PRIVATE KEY-----\n", "no PRIVATE KEY here\n"),
  fc.string({ maxLength: 30 }),
);
const parts = fc.array(fc.oneof(noise, noise, fc.constantFrom(...hidden)), { minLength: 1, maxLength: 25 });

/** Cuts a text in pieces at the places that the numbers name. */
function cut(text: string, numbers: number[]): string[] {
  const at = numbers.map((number) => number % (text.length + 1)).toSorted((a, b) => a - b);
  return [0, ...at].map((from, i) => text.slice(from, at[i] ?? text.length));
}

const masked = (pieces: string[]): string => {
  const mask = new LineMask(find);
  return pieces.map((piece) => mask.push(piece)).join("") + mask.end();
};

describe("a text that arrives in pieces", () => {
  test("is masked as if it came whole, and no form of a secret passes, wherever it is cut", () => {
    fc.assert(
      fc.property(parts, fc.array(fc.nat(), { maxLength: 40 }), (said, cuts) => {
        const text = said.join("");
        const shown = masked(cut(text, cuts));
        expect(shown === masked([text])).toBe(true);
        expect(cores.filter((core) => shown.includes(core))).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test("each form of a secret is hidden at every one of its cuts", () => {
    for (const form of hidden) {
      const line = `before ${form} after\n`;
      const whole = masked([line]);
      for (let at = 0; at <= line.length; at++) expect(masked([line.slice(0, at), line.slice(at)])).toBe(whole);
      expect(whole).toContain("***");
    }
  });

  test("what was skipped changes nothing of what comes after it", () => {
    fc.assert(
      fc.property(parts, fc.array(fc.nat(), { maxLength: 20 }), fc.nat(20), (said, cuts, from) => {
        const pieces = cut(said.join(""), cuts);
        const [one, other] = [new LineMask(find), new LineMask(find)];
        const first = pieces.slice(0, from);
        const rest = pieces.slice(from);
        for (const piece of first) {
          one.skip(piece);
          other.push(piece);
        }
        expect(one.waiting).toBe(other.waiting);
        const after = (mask: LineMask) => rest.map((piece) => mask.push(piece)).join("") + mask.end();
        expect(after(one) === after(other)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
