import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bothEnds } from "../../src/worker/pipe.ts";

const own = "/proc/self/fd";

test.skipIf(!existsSync(own))("a pipe of which one end cannot be opened leaves the other closed", () => {
  // A folder can be opened for reading, and for writing it cannot.
  const path = mkdtempSync(join(tmpdir(), "meshmac-pipe-"));
  try {
    expect(() => bothEnds(path)).toThrow("EISDIR");
    expect(openAt(path)).toEqual([]);
  } finally {
    rmSync(path, { recursive: true });
  }
});

function openAt(path: string): string[] {
  return readdirSync(own).filter((fd) => {
    try {
      return readlinkSync(join(own, fd)) === path;
    } catch {
      return false; // it was open for the listing
    }
  });
}
