import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, cpSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createToken, openVault } from "../../src/secrets.ts";
import { readLedger } from "../../src/secrets/ledger.ts";
import { abort, commit, finish, look, type Shelf, stage, undo } from "../../src/secrets/shelf.ts";
import { Folder } from "../config/folder.ts";

// Dozens of real processes a test, on a machine that may be busy.
setDefaultTimeout(120_000);

const operations = ["start", "commit", "undo", "abort"] as const;
type Operation = (typeof operations)[number];

const [before, after, other] = ["a", "b", "c"].map((letter) => letter.repeat(40)) as [string, string, string];
const at = 1_795_000_000_000;
const name = "jira/inbound.token";

const kinds: Record<string, { files: string[]; of(value: string): string[] }> = {
  "one file": { files: [name], of: (value) => [value] },
  "a certificate and its key": {
    files: ["tls/cert.pem", "tls/key.pem"],
    of: (value) => [`${value}-cert`, `${value}-key`],
  },
  "a certificate with the key it had": {
    files: ["tls/cert.pem", "tls/key.pem"],
    of: (value) => [`${value}-cert`, "key".repeat(20)],
  },
};

const shelfIn = (dir: string, kind: string): Shelf => ({
  name: kind,
  files: (kinds[kind]?.files ?? []).map((file) => join(dir, file)),
  top: dir,
});

/** Lays the files out as they are before an operation: only `start` finds nothing staged, only `undo` something committed. */
function prepare(folder: Folder, kind: string, operation: Operation): Shelf {
  const { files, of } = kinds[kind] ?? { files: [], of: () => [] };
  for (const [index, file] of files.entries()) folder.write(file, `${of(before)[index]}\n`);
  const shelf = shelfIn(folder.path, kind);
  if (operation !== "start") stage(shelf, of(after), { at, reason: "planned" });
  if (operation === "undo") commit(shelf, at);
  return shelf;
}

const act: Record<Operation, (shelf: Shelf, kind: string) => unknown> = {
  start: (shelf, kind) => {
    if (!finish(shelf).next) stage(shelf, kinds[kind]?.of(other) ?? [], { at, reason: "planned" });
  },
  commit: (shelf) => commit(shelf, at),
  undo: (shelf) => undo(shelf, at),
  abort: (shelf) => abort(shelf, at),
};

/** What lies in each place, as the letters of the values. */
function laidOut(shelf: Shelf): { current: string | null; next: string | null; prev: string | null } {
  const { current, next, prev } = look(shelf);
  const letter = (texts: string[] | undefined) => texts?.[0]?.[0] ?? null;
  return { current: letter(current?.texts), next: letter(next?.texts), prev: letter(prev?.texts) };
}

const expected: Record<Operation, ReturnType<typeof laidOut>[]> = {
  start: [
    { current: "a", next: "b", prev: null },
    { current: "a", next: "c", prev: null },
  ],
  commit: [{ current: "b", next: null, prev: "a" }],
  undo: [{ current: "a", next: "b", prev: null }],
  abort: [{ current: "a", next: null, prev: null }],
};

const filesIn = (dir: string): string[] => (readdirSync(dir, { recursive: true }) as string[]).toSorted();

describe.each(Object.keys(kinds))("%s", (kind) => {
  test.each([...operations])("%s survives a kill before each of its file operations", async (operation) => {
    for (let n = 1; ; n++) {
      using folder = new Folder();
      const shelf = prepare(folder, kind, operation);
      // Somebody has the files open all the while, as a gateway does.
      let time = 0;
      const watcher = openVault(folder.path, () => time);
      if (kind === "one file") watcher.accepts(name, before);
      const crash = Bun.spawn(
        [
          process.execPath,
          join(import.meta.dir, "crash.ts"),
          String(n),
          operation,
          String(at),
          JSON.stringify(shelf),
          JSON.stringify(kinds[kind]?.of(after)),
        ],
        { stdout: "ignore", stderr: "inherit" },
      );
      await crash.exited;
      const killed = crash.signalCode === "SIGKILL";
      expect(killed || crash.exitCode === 0).toBe(true);

      if (kind === "one file") {
        time += 1000;
        for (const vault of [watcher, openVault(folder.path)]) {
          const accepted = [before, after].filter((value) => vault.accepts(name, value) !== null);
          expect(accepted.length).toBeGreaterThan(0);
        }
      }
      // Whatever comes next finishes what was begun; the same again brings it to its end.
      for (const next of operations) {
        using copy = new Folder();
        cpSync(folder.path, copy.path, { recursive: true });
        act[next](shelfIn(copy.path, kind), kind);
        const { ledger, current } = look(shelfIn(copy.path, kind));
        expect(ledger.doing).toBeNull();
        expect(current).not.toBeNull();
        expect(filesIn(copy.path).filter((file) => file.endsWith(".draft"))).toEqual([]);
      }
      act[operation](shelf, kind);
      expect(expected[operation]).toContainEqual(laidOut(shelf));
      if (!killed) {
        expect(n).toBeGreaterThan(5);
        return;
      }
    }
  });

  test("all four again change nothing", () => {
    using folder = new Folder();
    const shelf = prepare(folder, kind, "commit");
    commit(shelf, at);
    commit(shelf, at);
    expect(laidOut(shelf)).toEqual({ current: "b", next: null, prev: "a" });
    abort(shelf, at);
    expect(laidOut(shelf)).toEqual({ current: "b", next: null, prev: "a" });
    undo(shelf, at);
    undo(shelf, at);
    expect(laidOut(shelf)).toEqual({ current: "a", next: "b", prev: null });
    abort(shelf, at);
    abort(shelf, at);
    expect(laidOut(shelf)).toEqual({ current: "a", next: null, prev: null });
  });
});

describe("what is written down", () => {
  test("names what was retired, and no more once it is live again", () => {
    using folder = new Folder();
    const shelf = prepare(folder, "one file", "commit");
    commit(shelf, at);
    const path = join(folder.path, name);
    const keyOf = (text: string) => new Bun.CryptoHasher("sha256").update(text).digest("hex");
    expect(readLedger(path).retired).toEqual([
      { key_id: keyOf(before).slice(0, 8), digest: keyOf(before), at, how: "committed" },
    ]);
    undo(shelf, at);
    expect(readLedger(path).retired).toEqual([]);
    abort(shelf, at);
    expect(readLedger(path).retired).toMatchObject([{ digest: keyOf(after), how: "aborted" }]);
    const month = 30 * 86_400_000;
    stage(shelf, [createToken()], { at: at + month, reason: "staff" });
    commit(shelf, at + month);
    expect(readLedger(path).retired).toMatchObject([{ digest: keyOf(before) }]);
  });

  test("holds no value, and everything has the mode of the secret", () => {
    using folder = new Folder();
    const path = folder.write(name, `${before}\n`);
    chmodSync(path, 0o440);
    const shelf = shelfIn(folder.path, "one file");
    stage(shelf, [after], { at, reason: "planned" });
    commit(shelf, at);
    stage(shelf, [other], { at, reason: "planned" });
    const modes = filesIn(folder.path).flatMap((file) => {
      const stats = statSync(join(folder.path, file));
      return stats.isFile() ? [[file.replace("jira/inbound.token", ""), stats.mode & 0o777]] : [];
    });
    expect(Object.fromEntries(modes)).toEqual({ "": 0o440, ".next": 0o440, ".prev": 0o440, ".rotation": 0o440 });
    const ledger = JSON.stringify(readLedger(path));
    for (const value of [before, after, other]) expect(ledger).not.toContain(value);
  });
});

describe("a value that was retired", () => {
  test("is explained for thirty days to whoever refuses it, and accepted by nobody", () => {
    using folder = new Folder();
    const shelf = prepare(folder, "one file", "commit");
    commit(shelf, Date.now());
    const vault = openVault(folder.path);
    expect(vault.accepts(name, before)).toBeNull();
    expect(vault.retired(name, before)).toMatch(
      /^retired token of jira\/inbound\.token, key id [0-9a-f]{8}, committed 2/,
    );
    expect(vault.retired(name, after)).toBeNull();
    expect(vault.retired(name, "guess")).toBeNull();
    undo(shelf, 0);
    abort(shelf, Date.now() - 31 * 86_400_000);
    expect(openVault(folder.path).retired(name, after)).toBeNull();
  });

  test("is still known by its key id while it is kept, for what only it can end", () => {
    using folder = new Folder();
    const shelf = prepare(folder, "one file", "commit");
    const key_id = look(shelf).current?.key_id ?? "";
    commit(shelf, at);
    const vault = openVault(folder.path);
    expect(vault.earlier(name, key_id)).toBe(before);
    expect(vault.earlier(name, "00000000")).toBeNull();
    vault.watch([name]);
    expect(vault.values()).toContain(before);
  });
});

test("a disk that takes a part of a value leaves the one there was", () => {
  using folder = new Folder();
  const path = folder.write("tls/key.pem", "whole");
  // A block is 512 or 1024 bytes, as the shell has it.
  const limited = 'ulimit -f 2 && exec "$0" "$@"';
  const script = join(import.meta.dir, "full.ts");
  const { exitCode } = Bun.spawnSync(["/bin/sh", "-c", limited, process.execPath, script, path, "5000"], {
    env: { PATH: process.env.PATH ?? "", BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0" },
    stderr: "ignore",
  });
  expect(exitCode).not.toBe(0);
  expect(readFileSync(path, "utf8")).toBe("whole");
});

test("an undo is refused beside half of a staged pair, which it could not tell from its own", () => {
  using folder = new Folder();
  const shelf = prepare(folder, "a certificate and its key", "undo");
  folder.write("tls/cert.pem.next", "somebody's");
  expect(() => undo(shelf, at)).toThrow("half of a staged value");
  expect(look(shelf).prev).not.toBeNull();
});
