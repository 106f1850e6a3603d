import { afterEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openArchive } from "../../src/archive.ts";
import type { Archive } from "../../src/core/archive.ts";
import { Secret } from "../../src/core/secret.ts";
import { openBucket } from "../fakes/s3.ts";

const opened: (() => void)[] = [];
afterEach(() => {
  for (const close of opened.splice(0).toReversed()) close();
});

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), "meshmac-archive-"));
  opened.push(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

const key = "fake-secret-access-key-0123456789";
const secretOf = (read: () => string) => new Secret("s3/logs.key", read);
const must = async (archive: Promise<Archive | undefined>): Promise<Archive> =>
  (await archive) ?? Promise.reject("none");

function bucket(read: () => string = () => `${key}\n`) {
  const fake = openBucket({ secret: key });
  opened.push(() => fake[Symbol.dispose]());
  const s3 = {
    endpoint: fake.url,
    bucket: "acme-logs",
    region: "eu-central-1",
    prefix: "ios/logs",
    access_key_id: "AKIAEXAMPLE",
  };
  return { fake, archive: must(openArchive({ s3: { ...s3, secret_access_key: secretOf(read) } })) };
}

const name = "0190a000-0000-7000-8000-00000000abcd/1.log";

function fileOf(bytes: Uint8Array | string): string {
  const path = join(folder(), "log");
  writeFileSync(path, bytes);
  return path;
}

test("without one configured there is none", async () => {
  expect(await openArchive()).toBeUndefined();
  expect(await openArchive({})).toBeUndefined();
});

describe.each(["folder", "bucket"] as const)("a %s", (what) => {
  const open = () => (what === "folder" ? must(openArchive({ dir: folder() })) : bucket().archive);

  test("gives back what was put, in any slice, and knows its size", async () => {
    const archive = await open();
    await archive.put(name, fileOf("0123456789"));
    expect(await archive.read(name, 0, 100)).toEqual({ bytes: new TextEncoder().encode("0123456789"), size: 10 });
    expect(await archive.read(name, 2, 3)).toEqual({ bytes: new TextEncoder().encode("234"), size: 10 });
    expect(await archive.read(name, 10, 3)).toEqual({ bytes: new Uint8Array(), size: 10 });
    expect(await archive.read(name, 99, 3)).toEqual({ bytes: new Uint8Array(), size: 10 });
  });

  test("has nothing under a name that was never put", async () => {
    expect(await (await open()).read(name, 0, 10)).toBeNull();
  });

  test("keeps the last of what was put under a name", async () => {
    const archive = await open();
    for (const text of ["one", "one and two"]) await archive.put(name, fileOf(text));
    expect((await archive.read(name, 0, 99))?.bytes).toEqual(new TextEncoder().encode("one and two"));
  });

  test("takes a log of many parts", async () => {
    const archive = await open();
    const bytes = crypto.getRandomValues(new Uint8Array(65_536));
    const all = Buffer.concat(Array.from({ length: 400 }, () => bytes));
    await archive.put(name, fileOf(all));
    const found = await archive.read(name, 65_536 * 200 - 7, 65_536 + 14);
    expect(found?.size).toBe(all.length);
    expect(Buffer.compare(found?.bytes ?? new Uint8Array(), all.subarray(65_536 * 200 - 7, 65_536 * 201 + 7))).toBe(0);
  });
});

describe("a folder", () => {
  test("shows no half file, and leaves none behind", async () => {
    const dir = folder();
    const archive = await must(openArchive({ dir }));
    expect(archive.put(name, join(dir, "nothing"))).rejects.toMatchObject({ kind: "unavailable" });
    await archive.put(name, fileOf("whole"));
    expect(readdirSync(join(dir, name, ".."))).toEqual(["1.log"]);
    expect(readFileSync(join(dir, name), "utf8")).toBe("whole");
  });

  test("that cannot be used is said to be so", async () => {
    const file = join(folder(), "file");
    writeFileSync(file, "");
    const archive = await must(openArchive({ dir: join(file, "below") }));
    expect(archive.put(name, fileOf("x"))).rejects.toMatchObject({
      kind: "unavailable",
      hint: expect.stringContaining("logs.archive.dir"),
    });
  });
});

describe("a bucket", () => {
  test("is asked with signed requests alone, under its prefix", async () => {
    const { fake, archive } = bucket();
    await (await archive).put(name, fileOf("x".repeat(1000)));
    await (await archive).read(name, 0, 10);
    expect(fake.faults).toEqual([]);
    expect([...fake.objects.keys()]).toEqual([`ios/logs/${name}`]);
    expect(fake.asked).toEqual(["PUT", "HEAD", "GET"].map((method) => `${method} /acme-logs/ios/logs/${name}`));
  });

  test("reads its secret anew for each call, as it is rotated", async () => {
    let secret = "another-secret-access-key-9876543210";
    const { fake, archive } = bucket(() => secret);
    await expect((await archive).put(name, fileOf("x"))).rejects.toMatchObject({ kind: "permission" });
    expect(fake.faults).toContain("wrong signature");
    secret = key;
    await (await archive).put(name, fileOf("x"));
    expect(fake.objects.size).toBe(1);
  });

  test.each([403, 404, 500, 503])(
    "that answers %i says so without a word of the request or the answer",
    async (status) => {
      const { fake, archive } = bucket();
      fake.fail(100, status);
      const error: unknown = await (await archive).put(name, fileOf("x")).catch((why: unknown) => why);
      expect(error).toMatchObject({ hint: expect.stringContaining("logs.archive.s3") });
      const told = Bun.inspect(error) + String(error) + JSON.stringify(error);
      expect(told).not.toContain(key);
      expect(told).not.toMatch(/AWS4|Signature=|AKIA/);
    },
  );

  test("that nobody answers for is unavailable", async () => {
    const { fake, archive } = bucket();
    const put = (await archive).put;
    fake[Symbol.dispose]();
    expect(put(name, fileOf("x"))).rejects.toMatchObject({
      kind: "unavailable",
      message: expect.stringContaining("acme-logs"),
    });
  });

  test("works in a compiled program", async () => {
    const { fake } = bucket();
    const dir = folder();
    const binary = join(dir, "put");
    writeFileSync(
      join(dir, "put.ts"),
      `import { openArchive } from ${JSON.stringify(join(import.meta.dir, "../../src/archive.ts"))};
       import { Secret } from ${JSON.stringify(join(import.meta.dir, "../../src/core/secret.ts"))};
       const s3 = { endpoint: process.argv[2], bucket: "acme-logs", region: "eu-central-1", access_key_id: "AKIAEXAMPLE", secret_access_key: new Secret("s3/logs.key", () => ${JSON.stringify(key)}) };
       const archive = await openArchive({ s3 });
       await archive.put("a/1.log", process.argv[3]);
       console.log((await archive.read("a/1.log", 1, 3)).size);`,
    );
    const flags = ["--compile", "--minify", "--bytecode", "--format=esm", "--splitting"];
    const built = Bun.spawnSync([process.execPath, "build", join(dir, "put.ts"), ...flags, "--outfile", binary]);
    expect(built.stderr.toString()).not.toContain("error");
    if (existsSync(binary)) chmodSync(binary, 0o755);
    const child = Bun.spawn([binary, fake.url, fileOf("hello")], { stdout: "pipe", stderr: "pipe" });
    expect([await child.stdout.text(), await child.stderr.text()]).toEqual(["5\n", ""]);
    expect(fake.faults).toEqual([]);
  }, 30_000);
});
