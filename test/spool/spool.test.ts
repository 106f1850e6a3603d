import { expect, test } from "bun:test";
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "../../src/core/error.ts";
import { frame, scan, unframe } from "../../src/spool/frame.ts";
import { Spool } from "../../src/spool/spool.ts";
import { everyLine, Folder, textsIn } from "./folder.ts";

const kept = (text: string, line = "jira", at = 1_795_000_000_000) => ({ line, at, text });

const mode = (path: string) => statSync(path).mode & 0o777;

test("a frame reads back as it was written, whatever the text", () => {
  for (const text of ["", "{}", `{"summary":"größer \\u2028 🙂"}`, " two  spaces ", "\u2028", "a\rb"]) {
    const line = frame(kept(text));
    expect(unframe(line.subarray(0, -1))).toEqual(kept(text));
    expect(line.indexOf("\n")).toBe(line.length - 1);
  }
});

test("a frame with any one bit changed is none", () => {
  const line = frame(kept(`{"issue":"MOB-12"}`));
  for (let bit = 0; bit < (line.length - 1) * 8; bit++) {
    const bent = Buffer.from(line);
    bent[bit >> 3] = (bent[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect([bit, unframe(bent.subarray(0, -1))]).toEqual([bit, null]);
  }
});

test("a segment cut at any byte gives back every whole record and invents none", async () => {
  const texts = [`{"n":1}`, `{"n":2,"s":"größer"}`, `{"n":3}`];
  const frames = texts.map((text) => frame(kept(text)));
  const whole = Buffer.concat(frames);
  const ends = frames.map((_, i) => Buffer.concat(frames.slice(0, i + 1)).length);
  for (let cut = 0; cut <= whole.length; cut++) {
    await using folder = new Folder();
    mkdirSync(join(folder.dir, "1"), { recursive: true, mode: 0o700 });
    const file = join(folder.dir, "1", "000000000001.line");
    writeFileSync(file, whole);
    truncateSync(file, cut);
    const spool = await folder.spool();
    const survivors = ends.filter((end) => end <= cut).length;
    expect([cut, await textsIn(spool)]).toEqual([cut, texts.slice(0, survivors)]);
  }
});

test("a record damaged in the middle costs only itself", () => {
  const frames = ["a", "b", "c"].map((text) => frame(kept(text)));
  const bytes = Buffer.concat(frames);
  bytes.fill(0, (frames[0]?.length ?? 0) + 3, (frames[0]?.length ?? 0) + 9);
  const { found, damaged } = scan(bytes);
  expect(found.map(({ offset }) => offset)).toEqual([0, (frames[0]?.length ?? 0) + (frames[1]?.length ?? 0)]);
  expect(damaged).toBe(frames[1]?.length ?? 0);
});

test("keeps each line in order over restarts, and forgets what was forwarded", async () => {
  await using folder = new Folder();
  const first = await folder.spool();
  for (let n = 0; n < 10; n++) await first.append(kept(String(n), n % 2 ? "youtrack" : "jira"));
  expect(await textsIn(first)).toEqual(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
  first.forget("jira");
  first.forget("jira");
  first.forget("youtrack");
  await first.settle();
  await first.close();

  const second = await folder.spool();
  expect(await textsIn(second)).toEqual(["3", "4", "5", "6", "7", "8", "9"]);
  await second.append(kept("10"));
  expect((await textsIn(second)).at(-1)).toBe("10");
  for (const { line } of everyLine(second)) second.forget(line);
  await second.settle();
  expect([folder.segments(), second.facts().bytes]).toEqual([[], 0]);
  await second.close();
  expect(await textsIn(await folder.spool())).toEqual([]);
});

test("a mark of an earlier process covers nothing that a later one writes", async () => {
  await using folder = new Folder();
  const first = await folder.spool();
  await Promise.all(Array.from({ length: 30 }, () => first.append(kept("x".repeat(100_000)))));
  for (let n = 0; n < 29; n++) first.forget("jira");
  await first.settle();
  first.forget("jira");
  await first.settle();
  await first.close();
  expect(folder.segments()).toEqual([]);

  const second = await folder.spool();
  await second.append(kept("a"));
  await second.close();
  expect(await textsIn(await folder.spool())).toEqual(["a"]);
});

test("a segment that somebody deleted holds up nobody", async () => {
  await using folder = new Folder();
  const spool = await folder.spool();
  await spool.append(kept("a"));
  rmSync(folder.segments()[0] ?? "");
  expect(await textsIn(spool)).toEqual([null]);
});

test("what was adopted is kept although a later room cannot be", async () => {
  await using folder = new Folder();
  for (const room of ["2", "3"]) {
    mkdirSync(join(folder.dir, room), { recursive: true, mode: 0o700 });
    writeFileSync(join(folder.dir, room, "000000000001.line"), frame(kept(`of ${room}`)));
  }
  const spool = new Spool({
    dir: folder.dir,
    limit: 1_000_000,
    takeLock: async (path) => {
      if (path.includes("/3/")) throw new MeshError("permission", "the room is another user's");
      return () => {};
    },
  });
  await spool.open();
  await spool.append(kept("new"));
  expect(await textsIn(spool)).toEqual(["of 2", "new"]);
  await spool.close();
});

test("what came while it was being closed is on the disk, and its room is free", async () => {
  await using folder = new Folder();
  const asked = Promise.withResolvers<void>();
  const free = Promise.withResolvers<void>();
  let taken = 0;
  const spool = new Spool({
    dir: folder.dir,
    limit: 1_000_000,
    takeLock: async (path) => {
      if (path.includes("/2/")) {
        asked.resolve();
        await free.promise;
      }
      taken++;
      return () => void taken--;
    },
  });
  await spool.open();
  mkdirSync(join(folder.dir, "2"), { recursive: true, mode: 0o700 });
  writeFileSync(join(folder.dir, "2", "000000000001.line"), frame(kept("left")));
  const adopted = spool.adopt();
  await asked.promise;
  const appended = spool.append(kept("late"));
  const closed = spool.close();
  free.resolve();
  await Promise.all([adopted, appended, closed]);
  expect(taken).toBe(0);
  expect(await textsIn(await folder.spool())).toEqual(["left", "late"]);
});

test("the mark of a line is no other line's", async () => {
  await using folder = new Folder();
  const first = await folder.spool();
  await first.append(kept("a", "jira"));
  await first.append(kept("b", "youtrack"));
  first.forget("youtrack");
  await first.settle();
  await first.close();
  expect(await textsIn(await folder.spool())).toEqual(["a"]);
});

test("what comes while the disk is busy shares its sync, in the order it was seen", async () => {
  await using folder = new Folder();
  const spool = await folder.spool();
  const times = Array.from({ length: 500 }, (_, i) => 1_795_000_000_000 + ((i * 7) % 500));
  await Promise.all(times.map((at) => spool.append(kept(String(at), "jira", at))));
  const texts = await textsIn(spool);
  expect(texts).toEqual(times.toSorted().map(String));
});

test("is for its owner's eyes only", async () => {
  await using folder = new Folder();
  const spool = await folder.spool();
  await spool.append(kept("a"));
  await spool.setAside(kept("b"));
  expect([mode(folder.dir), mode(join(folder.dir, "1")), mode(join(folder.dir, "refused"))]).toEqual([
    0o700, 0o700, 0o700,
  ]);
  expect([...folder.segments(), ...folder.segments("refused")].map(mode)).toEqual([0o600, 0o600]);
});

test("takes no more than its limit, says so, and takes again when there is room", async () => {
  await using folder = new Folder();
  const spool = await folder.spool(256 * 1024);
  const text = "x".repeat(10_000);
  const asked = await Promise.allSettled(Array.from({ length: 30 }, () => spool.append(kept(text))));
  expect(asked.filter(({ status }) => status === "fulfilled")).toHaveLength(26);
  await expect(spool.append(kept(text))).rejects.toMatchObject({ kind: "unavailable", message: "the spool is full" });
  expect(spool.facts()).toMatchObject({ waiting: 26, fault: "the spool is full" });
  expect(await spool.takes()).toBe(false);
  for (let n = 0; n < 26; n++) spool.forget("jira");
  await spool.settle();
  await spool.append(kept(text));
  expect([await spool.takes(), spool.facts().fault]).toEqual([true, null]);
});

test("deletes segments as they are forwarded", async () => {
  await using folder = new Folder();
  const spool = await folder.spool();
  await Promise.all(Array.from({ length: 40 }, () => spool.append(kept("x".repeat(100_000)))));
  const before = folder.segments().length;
  expect(before).toBeGreaterThan(1);
  for (let n = 0; n < 30; n++) spool.forget("jira");
  await spool.settle();
  expect(folder.segments().length).toBeLessThan(before);
  expect(await textsIn(spool)).toHaveLength(10);
});

test("two gateways on one folder have a room each, and who stays adopts what the other left", async () => {
  await using folder = new Folder();
  const one = await folder.spool();
  const two = await folder.spool();
  await one.append(kept("one"));
  await two.append(kept("two"));
  expect([await textsIn(one), await textsIn(two)]).toEqual([["one"], ["two"]]);
  expect(await two.adopt()).toBe(false);
  await one.close();
  expect(await two.adopt()).toBe(true);
  expect(await textsIn(two)).toEqual(["two", "one"]);
  expect(folder.segments("1")).toEqual([]);
  await two.append(kept("three"));
  await two.close();
  expect(await textsIn(await folder.spool())).toEqual(["two", "one", "three"]);
});

test("what was set aside is handed in once more when its folder is given a name of its own", async () => {
  await using folder = new Folder();
  const first = await folder.spool();
  await first.setAside(kept("a"));
  await first.setAside(kept("b"));
  expect(first.facts().refused).toBe(2);
  await first.close();
  expect(await textsIn(await folder.spool())).toEqual([]);
  await using other = new Folder();
  mkdirSync(other.dir, { recursive: true, mode: 0o700 });
  renameSync(join(folder.dir, "refused"), join(other.dir, "again"));
  expect(await textsIn(await other.spool())).toEqual(["a", "b"]);
});

test("records of one process never stand behind a torn end of an earlier one", async () => {
  await using folder = new Folder();
  const first = await folder.spool();
  await first.append(kept("a"));
  await first.append(kept("b"));
  const [file = ""] = folder.segments();
  truncateSync(file, statSync(file).size - 4);
  await first.close();
  const second = await folder.spool();
  await second.append(kept("c"));
  expect(await textsIn(second)).toEqual(["a", "c"]);
  expect(readFileSync(file).includes("c")).toBe(false);
});
