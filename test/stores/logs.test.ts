import { afterEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Archive } from "../../src/core/archive.ts";
import { type Logs, openLogs } from "../../src/stores/logs.ts";
import { canMount, onSmallDisk } from "../fakes/small-disk.ts";
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

const limit = 1 << 20;
const part = (run_id: string, attempt: number, from = 0) => ({ run_id, attempt, from });
const textOf = async (logs: Logs, attempt = 1, run_id = run) => {
  const found = await logs.read(part(run_id, attempt), 0, limit);
  return found && new TextDecoder().decode(found.bytes);
};

test("keeps the limit of an attempt, says where it was cut, and goes on taking", async () => {
  const folder = newFolder();
  const logs = openLogs(folder);
  expect(logs.append(run, 1, 0, bytesOf("0123456789"), 10)).toBe(10);
  expect(await textOf(logs)).toBe("0123456789");
  expect(logs.append(run, 1, 10, bytesOf("abc"), 10)).toBe(13);
  const cut = "0123456789\n[the rest is left out here: 10 bytes are kept of an attempt]\n";
  expect(await textOf(logs)).toBe(cut);
  // Also when the limit was raised, or the process is another: a log that was cut stays so.
  for (const again of [logs, openLogs(folder)]) {
    expect(again.append(run, 1, 10, bytesOf("abc"), 1000)).toBe(13);
    expect(again.append(run, 1, 13, bytesOf("defg"), 1000)).toBe(17);
  }
  expect(await textOf(logs)).toBe(cut);
  expect(logs.append(run, 2, 0, bytesOf("0123456789abc"), 10)).toBe(13);
  expect(await textOf(logs, 2)).toBe(cut);
});

test("a piece put twice, or half and then whole, is there once", async () => {
  const folder = newFolder();
  const logs = openLogs(folder);
  await logs.put(part(run, 1), 0, bytesOf("abc"));
  await logs.put(part(run, 1), 3, bytesOf("de"));
  await logs.put(part(run, 1), 3, bytesOf("defg"));
  await logs.put(part(run, 1), 3, bytesOf("defg"));
  expect(await textOf(logs)).toBe("abcdefg");
  await logs.put(part(run, 1, 100), 104, bytesOf("later"));
  expect(readFileSync(join(folder, run, "1.100.log"), "latin1")).toBe("\0\0\0\0later");
  expect(await logs.read(part(run, 1, 100), 106, 2)).toMatchObject({ bytes: bytesOf("te"), next: 108, size: 109 });
});

test("a folder keeps its name, whoever asks first", () => {
  const folder = newFolder();
  expect(openLogs(folder).place()).toMatch(/^[0-9a-f-]{36}$/);
  expect(openLogs(folder).place()).toBe(openLogs(folder).place());
  expect(openLogs(newFolder()).place()).not.toBe(openLogs(folder).place());
});

test.each(["../../etc/passwd", "a/b", "", ".", `${run}/..`, run.toUpperCase(), `${run}\0`])(
  "makes no path of %p",
  (id) => {
    const logs = openLogs(newFolder());
    expect(() => logs.append(id, 1, 0, bytesOf("x"), limit)).toThrow("not a run's id");
    expect(logs.read(part(id, 1), 0, 1)).rejects.toThrow("not a run's id");
    expect(logs.put(part(id, 1), 0, bytesOf("x"))).rejects.toThrow("not a run's id");
  },
);

test.each([-1, 1.5, Number.NaN])("makes no path of attempt %p", (attempt) => {
  expect(openLogs(newFolder()).read(part(run, attempt), 0, 1)).rejects.toThrow("not an attempt");
});

test("follows no link", () => {
  const folder = newFolder();
  const elsewhere = join(newFolder(), "elsewhere");
  writeFileSync(elsewhere, "mine");
  mkdirSync(join(folder, run));
  symlinkSync(elsewhere, join(folder, run, "1.log"));
  const logs = openLogs(folder);
  expect(() => logs.append(run, 1, 4, bytesOf("x"), limit)).toThrow("could not append");
  expect(logs.put(part(run, 1), 4, bytesOf("x"))).rejects.toThrow("could not append");
  expect(logs.read(part(run, 1), 0, 10)).rejects.toThrow("could not read");
  expect(readFileSync(elsewhere, "utf8")).toBe("mine");
});

const age = (folder: string, id: string, seconds: number) => {
  for (const path of [join(folder, id, "1.log"), join(folder, id)]) utimesSync(path, seconds, seconds);
};
const three = ["1", "2", "3"].map((n) => run.slice(0, -1) + n) as [string, string, string];
const plenty = { before: 0, bytes: Infinity };
const nobody = () => false;

test("sweeps what nobody has written to since, but what is wanted, and touches nothing else", async () => {
  const folder = newFolder();
  const logs = openLogs(folder);
  const [old, fresh, wanted] = three;
  for (const id of three) logs.append(id, 1, 0, bytesOf("x"), limit);
  writeFileSync(join(folder, "notes.txt"), "mine");
  for (const id of [old, wanted]) age(folder, id, 1000);
  await logs.sweep({ ...plenty, before: 2_000_000 }, async (id) => id === wanted);
  expect(existsSync(join(folder, old))).toBe(false);
  expect([await textOf(logs, 1, fresh), await textOf(logs, 1, wanted)]).toEqual(["x", "x"]);
  expect(existsSync(join(folder, "notes.txt"))).toBe(true);
  await openLogs(join(folder, "nowhere")).sweep(plenty, nobody);
});

test("sweeps the oldest first while there are too many bytes, but what is wanted", async () => {
  const folder = newFolder();
  const logs = openLogs(folder);
  three.forEach((id, i) => {
    logs.append(id, 1, 0, bytesOf("0123456789"), limit);
    age(folder, id, 1000 + i);
  });
  const [first, second, third] = three;
  await logs.sweep({ ...plenty, bytes: 30 }, nobody);
  expect(readdirSync(folder).toSorted()).toEqual(three.toSorted());
  await logs.sweep({ ...plenty, bytes: 15 }, (id) => id === first);
  expect(readdirSync(folder)).toEqual([first]);
  expect([await textOf(logs, 1, second), await textOf(logs, 1, third)]).toEqual([null, null]);
});

test("with an archive only what is in it is swept for its age, and anything for its size", async () => {
  const folder = newFolder();
  const archive: Archive = { put: async () => {}, read: async () => null };
  const logs = openLogs(folder, archive);
  const [archived, not, grown] = three;
  for (const id of three) logs.append(id, 1, 0, bytesOf("0123456789"), limit);
  logs.mark(archived, "1.log", 10);
  logs.mark(grown, "1.log", 9);
  for (const id of three) age(folder, id, 1000);
  await logs.sweep({ ...plenty, before: 2_000_000 }, nobody);
  expect(readdirSync(folder).toSorted()).toEqual([not, grown].toSorted());
  await logs.sweep({ before: 0, bytes: 0 }, nobody);
  expect(readdirSync(folder)).toEqual([]);
});

test("reads from the archive what is here no more, and does not ask it again and again for what it has not", async () => {
  const asked: string[] = [];
  const archive: Archive = {
    put: async () => {},
    async read(name, from, most) {
      asked.push(name);
      const bytes = bytesOf("0123456789");
      return name.endsWith("/1.log") ? { bytes: bytes.slice(from, from + most), size: 10 } : null;
    },
  };
  const logs = openLogs(newFolder(), archive);
  expect(await logs.read(part(run, 1), 2, 3)).toMatchObject({ bytes: bytesOf("234"), next: 5, size: 10 });
  for (let i = 0; i < 3; i++) expect(await logs.read(part(run, 2), 0, 3)).toBeNull();
  expect(asked).toEqual([`${run}/1.log`, `${run}/2.log`]);
});

test.skipIf(!canMount)("a full disk of the gateway cuts the log, says so, and does not fail the run", () => {
  const said = onSmallDisk(join(import.meta.dir, "full-disk.ts"), "1m");
  expect(said).toMatchObject({
    answers: Array.from({ length: 40 }, (_, i) => (i + 1) * 65_536),
    finished: "ok",
    end: expect.stringMatching(/\n\[the rest is left out here: the disk of the gateway was full\]\n$/),
    notes: ["logs are cut short: the disk of state_dir is full"],
  });
});
