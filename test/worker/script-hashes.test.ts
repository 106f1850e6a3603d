import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { rmSync, statSync, utimesSync } from "node:fs";
import { basename, join } from "node:path";
import { ScriptHashes } from "../../src/worker/script-hashes.ts";
import { Yard } from "./yard.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

test("a worker says the SHA-256 of each script that it has", async () => {
  await using yard = new Yard();
  yard.script("build", "exit 0");
  yard.script("test.sh", "exit 1");
  expect(await yard.start({ once: true }).done).toBe("nothing");
  expect(yard.store.asks[0]?.facts.script_hashes).toEqual({
    build: sha256("#!/bin/sh\nexit 0\n"),
    test: sha256("#!/bin/sh\nexit 1\n"),
  });
});

test("a script that changed has another hash, also where its size and time are what they were", async () => {
  await using yard = new Yard();
  const hashes = new ScriptHashes();
  const { scripts_dir } = yard.node;
  yard.script("build", "exit 0");
  const path = join(scripts_dir, "build");
  const { atime, mtime, ctimeMs } = statSync(path);
  expect(await hashes.of(scripts_dir, ["build"])).toEqual({ build: sha256("#!/bin/sh\nexit 0\n") });
  // The file system's clock has ticks of its own.
  while (statSync(path).ctimeMs === ctimeMs) {
    yard.script("build", "exit 1");
    utimesSync(path, atime, mtime);
  }
  expect(await hashes.of(scripts_dir, ["build"])).toEqual({ build: sha256("#!/bin/sh\nexit 1\n") });
  rmSync(path);
  expect(await hashes.of(scripts_dir, ["build"])).toEqual({});
});

test("a script that did not change is not read again", async () => {
  await using yard = new Yard();
  const read: string[] = [];
  const hashes = new ScriptHashes(async (path) => `${read.push(path)}`);
  const { scripts_dir } = yard.node;
  yard.script("build", "exit 0");
  yard.script("test.sh", "exit 0");
  for (let asked = 0; asked < 3; asked++) await hashes.of(scripts_dir, ["build", "test"]);
  expect(read.map((path) => basename(path)).toSorted()).toEqual(["build", "test.sh"]);
  yard.script("test.sh", "exit 10");
  expect(await hashes.of(scripts_dir, ["build", "test"])).toMatchObject({ test: "3" });
});
