import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLogs } from "../../src/stores/logs.ts";
import { bytesOf } from "./conformance/given.ts";

const folders: string[] = [];
const newFolder = () => {
  const folder = mkdtempSync(join(tmpdir(), "meshmac-logs-"));
  folders.push(folder);
  return folder;
};

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const run = "0190a000-0000-7000-8000-00000000abcd";

test("keeps the limit of an attempt, says where it was cut, and goes on taking", () => {
  const logs = openLogs(newFolder(), 10);
  const text = () => new TextDecoder().decode(logs.read(run, 1, 0, 1000).bytes);
  expect(logs.append(run, 1, 0, bytesOf("0123456789"))).toBe(10);
  expect(text()).toBe("0123456789");
  expect(logs.append(run, 1, 10, bytesOf("abc"))).toBe(13);
  const cut = "0123456789\n[log cut here: 10 bytes are kept of an attempt]\n";
  expect(text()).toBe(cut);
  expect(logs.append(run, 1, 10, bytesOf("abc"))).toBe(13);
  expect(logs.append(run, 1, 13, bytesOf("defg"))).toBe(17);
  expect(text()).toBe(cut);
  expect(logs.append(run, 2, 0, bytesOf("0123456789abc"))).toBe(13);
  expect(new TextDecoder().decode(logs.read(run, 2, 0, 1000).bytes)).toBe(cut);
});

test.each(["../../etc/passwd", "a/b", "", ".", `${run}/..`, run.toUpperCase(), `${run}\0`])(
  "makes no path of %p",
  (id) => {
    const logs = openLogs(newFolder());
    expect(() => logs.append(id, 1, 0, bytesOf("x"))).toThrow("not a run's id");
    expect(() => logs.read(id, 1, 0, 1)).toThrow("not a run's id");
  },
);

test.each([-1, 1.5, Number.NaN])("makes no path of attempt %p", (attempt) => {
  expect(() => openLogs(newFolder()).read(run, attempt, 0, 1)).toThrow("not an attempt");
});

test("follows no link", () => {
  const folder = newFolder();
  const elsewhere = join(newFolder(), "elsewhere");
  writeFileSync(elsewhere, "mine");
  mkdirSync(join(folder, run));
  symlinkSync(elsewhere, join(folder, run, "1.log"));
  const logs = openLogs(folder);
  expect(() => logs.append(run, 1, 4, bytesOf("x"))).toThrow("could not append");
  expect(() => logs.read(run, 1, 0, 10)).toThrow("could not read");
});

test("sweeps what nobody has written to since, but what is wanted, and touches nothing else", async () => {
  const folder = newFolder();
  const logs = openLogs(folder);
  const ids = ["1", "2", "3"].map((n) => run.slice(0, -1) + n);
  const [old = "", fresh = "", wanted = ""] = ids;
  for (const id of ids) logs.append(id, 1, 0, bytesOf("x"));
  writeFileSync(join(folder, "notes.txt"), "mine");
  for (const id of [old, wanted]) {
    for (const path of [join(folder, id, "1.log"), join(folder, id)]) utimesSync(path, 1000, 1000);
  }
  await logs.sweep(2_000_000, (id) => id === wanted);
  expect(existsSync(join(folder, old))).toBe(false);
  expect([fresh, wanted].map((id) => logs.read(id, 1, 0, 10).size)).toEqual([1, 1]);
  expect(existsSync(join(folder, "notes.txt"))).toBe(true);
  await openLogs(join(folder, "nowhere")).sweep(0, () => false);
});
