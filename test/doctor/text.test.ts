import { afterAll, describe, expect, test } from "bun:test";
import { describe as described } from "../../commands/doctor/text.ts";
import type { Finding } from "../../src/doctor/check.ts";
import { catalogue, type Diagnosis, examine } from "../../src/doctor/doctor.ts";
import { broken } from "./broken.ts";
import { Ward } from "./ward.ts";

const wards: Ward[] = [];
afterAll(() => Promise.all(wards.map((ward) => ward.close())));

const fault: Finding = { id: "disk-low", about: "/srv/state", says: "it is full", fix: "free some" };
const diagnosis: Diagnosis = { ...fault, severity: "error", breaks: "everything" };
const nothing = { findings: [], unchecked: [], gateways: [] };

/** Lines that do not fit 80 columns although they could be folded. */
const tooLong = (text: string): string[] =>
  text
    .split("\n")
    .filter((line) => Bun.stringWidth(line) > 80 && !line.startsWith("  fix: ") && / \S+ /.test(line.trim()));

describe("in 80 columns", () => {
  test.each(Object.entries(catalogue))("what %s breaks", (id, { severity, breaks }) => {
    const text = described({ ...nothing, findings: [{ ...fault, id, severity, breaks }] });
    expect(tooLong(text)).toEqual([]);
    expect(text.match(/^ {2}fix: /gm)).toHaveLength(1);
  });

  test.each([
    "hook-shared",
    "duplicate-sender",
    "chat-hook-unproven",
    "store-unreachable",
    "token-expires",
    "edge-refuses",
  ])("what is seen of %s", async (id) => {
    const ward = await Ward.open();
    wards.push(ward);
    await broken[id]?.(ward);
    expect(tooLong(described(await examine(ward.scene())))).toEqual([]);
  });

  test("a word that is longer stays whole, and so does what is to be typed", () => {
    const [path, fix] = [`/srv/${"a".repeat(100)}`, `chmod 0600 /srv/${"b ".repeat(60)}`.trim()];
    const text = described({ ...nothing, findings: [{ ...diagnosis, says: `the file ${path} is open`, fix }] });
    expect(text).toContain(path);
    expect(text).toContain(`  fix: ${fix}\n`);
  });
});

test("checks that fail for what a finding says already refer to it", () => {
  const unchecked = ["runs", "lanes"].map((check) => ({ check, why: "it is full" }));
  const text = described({ ...nothing, findings: [diagnosis], unchecked });
  expect(text.match(/it is full/g)).toHaveLength(1);
  expect(text).toContain("not checked  runs, lanes\n  for the same reason: disk-low");
});

test("a text from outside moves no cursor and makes no line", () => {
  const text = described({ ...nothing, findings: [{ ...diagnosis, says: "a\u001B[2Jb\nc", about: "x\ny" }] });
  expect(text).toContain("x y\n  ab c\n");
});
