import { describe, expect, test } from "bun:test";
import { createHash, createHmac } from "node:crypto";
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { join } from "node:path";
import { MeshError } from "../src/core/error.ts";
import { type Proof, proofOf } from "../src/core/verify.ts";
import { hubSignature } from "../src/core/verify-presets.ts";
import { redactLog } from "../src/log.ts";
import { checkKeyFile, createToken, openVault, writeSecret } from "../src/secrets.ts";
import { Folder } from "./config/folder.ts";

const name = "jira/inbound.token";
const [old, fresh] = [createToken(), createToken()];
const keyIdOf = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 8);
const isRoot = process.getuid?.() === 0;

/** A vault whose clock the test moves; every step is past the time within which files are not looked at again. */
function vaultOf({ path }: Folder) {
  let time = 0;
  const vault = openVault(path, () => time);
  return { vault, later: (ms = 250) => void (time += ms) };
}

function faultOf(act: () => unknown): MeshError {
  try {
    act();
  } catch (fault) {
    if (fault instanceof MeshError) return fault;
    throw fault;
  }
  throw new Error("expected a MeshError");
}

async function logged(act: () => void): Promise<string[]> {
  const lines: string[] = [];
  redactLog((line) => {
    lines.push(line);
    return line;
  });
  try {
    act();
    return lines;
  } finally {
    redactLog((line) => line);
  }
}

describe("reading", () => {
  test.each([
    ["no newline", "value", "value"],
    ["one newline", "value\n", "value"],
    ["a newline of Windows", "value\r\n", "value"],
    ["two newlines, of which one counts", "value\n\n", "value\n"],
    ["spaces", " value \n", " value "],
  ])("drops one trailing newline at most: %s", (_about, text, value) => {
    using folder = new Folder();
    folder.write("a/b.password", text);
    expect(openVault(folder.path).read("a/b.password")).toBe(value);
  });

  test("names the value by its key id", () => {
    using folder = new Folder();
    writeSecret(folder.path, name, old);
    expect(openVault(folder.path).keyId(name)).toBe(keyIdOf(old));
  });

  test("knows every value it ever loaded", () => {
    using folder = new Folder();
    const { vault, later } = vaultOf(folder);
    writeSecret(folder.path, name, old);
    expect(vault.values()).toEqual([]);
    vault.read(name);
    writeSecret(folder.path, `${name}.next`, fresh);
    later();
    vault.read(name);
    rmSync(join(folder.path, `${name}.next`));
    later();
    vault.read(name);
    expect(vault.values().toSorted()).toEqual([old, fresh].toSorted());
  });
});

describe("permissions", () => {
  test.each([0o600, 0o400, 0o440, 0o640])("%o is private enough", (mode) => {
    using folder = new Folder();
    chmodSync(folder.write(name, old), mode);
    expect(openVault(folder.path).read(name)).toBe(old);
  });

  test.each([
    [0o644, "readable by others"],
    [0o604, "readable by others"],
    [0o620, "writable by group or others"],
    [0o602, "writable by group or others"],
    [0o666, "readable by others"],
  ])("%o is refused with the chmod to type", (mode, why) => {
    using folder = new Folder();
    const path = folder.write(name, old);
    chmodSync(path, mode);
    const fault = faultOf(() => openVault(folder.path).read(name));
    expect(fault).toMatchObject({ kind: "permission", status: 77 });
    expect(fault.message).toBe(`${path} is ${why} (0${mode.toString(8)})`);
    expect(fault.hint).toBe(`chmod 0600 ${path}`);
  });

  test.each([
    ["jira", 0o770],
    ["jira", 0o707],
    ["", 0o770],
    ["", 0o1777],
  ])("a folder that others can write is refused, up to and including the top (%p, %o)", (below, mode) => {
    using folder = new Folder();
    folder.write(name, old);
    const loose = join(folder.path, below);
    chmodSync(loose, mode);
    const fault = faultOf(() => openVault(folder.path).read(name));
    expect(fault).toMatchObject({ kind: "permission", hint: `chmod go-w ${loose}` });
    chmodSync(loose, 0o700);
  });

  test("above the top a folder for everybody is refused, unless it is sticky", () => {
    using folder = new Folder();
    folder.write(`shared/secrets.d/${name}`, old);
    const shared = join(folder.path, "shared");
    const read = () => openVault(join(shared, "secrets.d")).read(name);
    chmodSync(shared, 0o770);
    expect(read()).toBe(old);
    chmodSync(shared, 0o1777);
    expect(read()).toBe(old);
    chmodSync(shared, 0o777);
    expect(faultOf(read)).toMatchObject({ kind: "permission", hint: `chmod o-w ${shared}` });
  });

  test("a symbolic link is refused, as the file or as a folder on the way", () => {
    using folder = new Folder();
    const real = folder.write("real/inbound.token", old);
    mkdirSync(join(folder.path, "jira"), { mode: 0o700 });
    symlinkSync(real, join(folder.path, name));
    symlinkSync(join(folder.path, "real"), join(folder.path, "linked"));
    for (const linked of [name, "linked/inbound.token"]) {
      const fault = faultOf(() => openVault(folder.path).read(linked));
      expect(fault.kind).toBe("permission");
      expect(fault.message).toEndWith("is a symbolic link");
    }
  });

  test("a folder that leads nowhere is refused like any other, also under a value that was read before", () => {
    using folder = new Folder();
    const { vault, later } = vaultOf(folder);
    folder.write(name, old);
    expect(vault.accepts(name, old)).toBe(keyIdOf(old));
    rmSync(join(folder.path, "jira"), { recursive: true });
    symlinkSync("jira", join(folder.path, "jira"));
    later();
    expect(vault.accepts(name, old)).toBe(keyIdOf(old));
    expect(faultOf(() => openVault(folder.path).read(name))).toMatchObject({ kind: "permission" });
  });

  test.skipIf(isRoot)("a folder that we may not enter is refused with what to type", () => {
    using folder = new Folder();
    folder.write(name, old);
    chmodSync(join(folder.path, "jira"), 0o600);
    const fault = faultOf(() => openVault(folder.path).read(name));
    expect(fault).toMatchObject({ kind: "permission", hint: expect.stringContaining(join(folder.path, "jira")) });
    chmodSync(join(folder.path, "jira"), 0o700);
  });

  test("the top itself may be reached over a link", () => {
    using folder = new Folder();
    folder.write(`real/${name}`, old);
    symlinkSync(join(folder.path, "real"), join(folder.path, "secrets.d"));
    expect(openVault(join(folder.path, "secrets.d")).read(name)).toBe(old);
  });

  test("what is no regular file is refused, and a pipe without waiting for a writer", () => {
    using folder = new Folder();
    mkdirSync(join(folder.path, "jira"), { mode: 0o700 });
    expect(Bun.spawnSync(["mkfifo", "-m", "600", join(folder.path, name)]).exitCode).toBe(0);
    mkdirSync(join(folder.path, "jira/folder.token"), { mode: 0o700 });
    for (const odd of [name, "jira/folder.token"]) {
      expect(faultOf(() => openVault(folder.path).read(odd)).message).toEndWith("is not a regular file");
    }
  });

  test.skipIf(!isRoot)("a file of another user is refused with the chown to type", () => {
    using folder = new Folder();
    const path = folder.write(name, old);
    chownSync(path, 12_345, 12_345);
    const fault = faultOf(() => openVault(folder.path).read(name));
    expect(fault.kind).toBe("permission");
    expect(fault.hint).toBe(`sudo chown 0 ${path} && sudo chmod 0600 ${path}`);
  });

  test("paths that a shell would split are quoted in the hint", () => {
    using folder = new Folder();
    const path = folder.write("it's here/a.token", old);
    chmodSync(path, 0o644);
    const top = join(folder.path, "it's here");
    expect(faultOf(() => openVault(top).read("a.token")).hint).toBe(
      `chmod 0600 '${folder.path}/it'\\''s here/a.token'`,
    );
  });

  test("key files get the same check", () => {
    using folder = new Folder();
    const path = folder.write("tls/key.pem", "-----BEGIN PRIVATE KEY-----\n");
    expect(() => checkKeyFile(path)).not.toThrow();
    chmodSync(path, 0o644);
    expect(faultOf(() => checkKeyFile(path))).toMatchObject({ kind: "permission", hint: `chmod 0600 ${path}` });
  });
});

describe("checking", () => {
  test("a missing file is a matter of configuration, with a way to write it", () => {
    using folder = new Folder();
    const fault = faultOf(() => openVault(folder.path).check(name));
    expect(fault).toMatchObject({ kind: "config", message: `no secret file ${join(folder.path, name)}` });
    expect(fault.hint).toContain("umask 077");
  });

  test.each([
    ["empty", "", "is empty"],
    ["a newline alone", "\n", "is empty"],
    ["31 characters", "x".repeat(31), "holds 31 characters, an inbound token needs 32"],
    ["more than a header may hold", "x".repeat(513), "holds 513 characters, an inbound token has at most 512"],
    ["two lines", `${old}\n${old}\n`, "cannot arrive in a header"],
    ["a space at the end", `${old} \n`, "cannot arrive in a header"],
    ["letters beyond ASCII", "é".repeat(40), "cannot arrive in a header"],
  ])("an inbound token of %s is refused (78)", (_about, text, why) => {
    using folder = new Folder();
    folder.write(name, text);
    const fault = faultOf(() => openVault(folder.path).check(name, { inbound: true }));
    expect(fault).toMatchObject({ kind: "config", status: 78 });
    expect(fault.message).toContain(why);
    expect(fault.message).not.toContain(old);
  });

  test("a short secret that we send is fine, until it shall open a door", () => {
    using folder = new Folder();
    folder.write(name, "short");
    const vault = openVault(folder.path);
    vault.check(name);
    expect(vault.read(name)).toBe("short");
    expect(faultOf(() => vault.accepts(name, "short"))).toMatchObject({ kind: "config" });
  });

  test("sees a change at once, also of the staged value", () => {
    using folder = new Folder();
    const { vault } = vaultOf(folder);
    const path = folder.write(name, old);
    vault.check(name, { inbound: true });
    chmodSync(path, 0o644);
    expect(faultOf(() => vault.check(name))).toMatchObject({ kind: "permission" });
    chmodSync(path, 0o600);
    vault.check(name);
    folder.write(`${name}.next`, "short");
    expect(faultOf(() => vault.check(name, { inbound: true })).message).toContain(".next holds 5 characters");
  });
});

describe("accepting", () => {
  test("the current and the staged value, and names which", () => {
    using folder = new Folder();
    const { vault } = vaultOf(folder);
    writeSecret(folder.path, name, old);
    writeSecret(folder.path, `${name}.next`, fresh);
    expect(vault.accepts(name, old)).toBe(keyIdOf(old));
    expect(vault.accepts(name, fresh)).toBe(keyIdOf(fresh));
    expect(vault.read(name)).toBe(old);
  });

  test.each([
    ["nothing", null],
    ["an empty value", ""],
    ["another value", fresh],
    ["the beginning", old.slice(0, -1)],
    ["more than the value", `${old}x`],
    ["the value twice, as joined headers arrive", `${old}, ${old}`],
    ["a huge value", "x".repeat(1_000_000)],
  ])("refuses %s", (_about, presented) => {
    using folder = new Folder();
    writeSecret(folder.path, name, old);
    expect(openVault(folder.path).accepts(name, presented)).toBeNull();
  });

  test("a body signed with the current or the staged value", () => {
    using folder = new Folder();
    writeSecret(folder.path, name, old);
    writeSecret(folder.path, `${name}.next`, fresh);
    const vault = openVault(folder.path);
    const body = new TextEncoder().encode('{"issue":"MOB-12"}');
    const sign = (key: string) => createHmac("sha256", key).update(body).digest("hex");
    const proof = (value: string, over = body): Proof =>
      proofOf({ rule: hubSignature("X-Hub-Signature"), value, id: "", timestamp: "" }, over);
    expect(vault.signed(name, proof(sign(old)))).toBe(keyIdOf(old));
    expect(vault.signed(name, proof(`sha256=${sign(fresh).toUpperCase()}`))).toBe(keyIdOf(fresh));
    for (const wrong of ["", "sha256=", sign("other"), sign(old).slice(2), `${sign(old)}00`, "z".repeat(64)]) {
      expect(vault.signed(name, proof(wrong))).toBeNull();
    }
    expect(vault.signed(name, proof(sign(old), new Uint8Array([1])))).toBeNull();
  });
});

describe("a change of the files", () => {
  test("is seen after 250 ms, and not looked for before", () => {
    using folder = new Folder();
    const { vault, later } = vaultOf(folder);
    writeSecret(folder.path, name, old);
    expect(vault.accepts(name, old)).toBe(keyIdOf(old));
    writeSecret(folder.path, name, fresh);
    later(249);
    expect(vault.accepts(name, fresh)).toBeNull();
    later(1);
    expect(vault.accepts(name, fresh)).toBe(keyIdOf(fresh));
    expect(vault.accepts(name, old)).toBeNull();
  });

  test("loses no accepted value while a staged one takes the place of the current one", () => {
    using folder = new Folder();
    const { vault, later } = vaultOf(folder);
    writeSecret(folder.path, name, old);
    const path = join(folder.path, name);
    for (let turn = 0; turn < 20; turn++) {
      const next = createToken();
      writeSecret(folder.path, `${name}.next`, next);
      later();
      expect(vault.accepts(name, next)).toBe(keyIdOf(next));
      renameSync(`${path}.next`, path);
      later();
      expect(vault.accepts(name, next)).toBe(keyIdOf(next));
      expect(vault.read(name)).toBe(next);
    }
  });

  test.each([
    ["is removed", (path: string) => rmSync(path)],
    ["is opened to others", (path: string) => chmodSync(path, 0o644)],
    ["is emptied", (path: string) => void Bun.spawnSync(["truncate", "-s", "0", path])],
    ["becomes a link", (path: string) => (renameSync(path, `${path}.moved`), symlinkSync(`${path}.moved`, path))],
  ])("keeps the last good value when the file %s, and says so once", async (_about, spoil) => {
    using folder = new Folder();
    const { vault, later } = vaultOf(folder);
    writeSecret(folder.path, name, old);
    vault.accepts(name, old);
    const lines = await logged(() => {
      spoil(join(folder.path, name));
      for (let look = 0; look < 3; look++) {
        later();
        expect(vault.accepts(name, old)).toBe(keyIdOf(old));
      }
    });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("changed secret not used");
    expect(lines[0]).not.toContain(old);
    rmSync(join(folder.path, name), { force: true });
    writeSecret(folder.path, name, fresh);
    later();
    expect(vault.accepts(name, fresh)).toBe(keyIdOf(fresh));
  });

  test("a value that was never usable is used as soon as it is", () => {
    using folder = new Folder();
    const { vault, later } = vaultOf(folder);
    chmodSync(folder.write(name, old), 0o600);
    chmodSync(folder.path, 0o770);
    expect(faultOf(() => vault.read(name)).kind).toBe("permission");
    chmodSync(folder.path, 0o700);
    later();
    expect(vault.read(name)).toBe(old);
  });
});

describe("writing", () => {
  test("makes private folders and a private file, and leaves no draft", () => {
    using folder = new Folder();
    const before = process.umask(0);
    writeSecret(join(folder.path, "secrets.d"), name, old);
    process.umask(before);
    const mode = (path: string) => statSync(join(folder.path, path)).mode & 0o777;
    expect([mode("secrets.d"), mode("secrets.d/jira"), mode(`secrets.d/${name}`)]).toEqual([0o700, 0o700, 0o600]);
    expect(readdirSync(join(folder.path, "secrets.d/jira"))).toEqual(["inbound.token"]);
    expect(openVault(join(folder.path, "secrets.d")).read(name)).toBe(old);
  });

  test("replaces the file in one step", () => {
    using folder = new Folder();
    writeSecret(folder.path, name, old);
    const before = lstatSync(join(folder.path, name)).ino;
    writeSecret(folder.path, name, fresh);
    expect(openVault(folder.path).read(name)).toBe(fresh);
    expect(lstatSync(join(folder.path, name)).ino).not.toBe(before);
  });

  test.each(["../out.token", "/etc/x.token", "a/../b.token", "", "a//b.token", ".hidden/x.token"])(
    "refuses the name %p",
    (bad) => {
      using folder = new Folder();
      expect(faultOf(() => writeSecret(folder.path, bad, old)).kind).toBe("usage");
      expect(readdirSync(folder.path)).toEqual([]);
    },
  );

  test("tokens are 32 random bytes as hex", () => {
    const tokens = Array.from({ length: 50 }, createToken);
    expect(tokens.every((token) => /^[0-9a-f]{64}$/.test(token))).toBe(true);
    expect(new Set(tokens).size).toBe(50);
  });
});
