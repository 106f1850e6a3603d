import { describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "../../src/core/error.ts";
import { createToken, openVault } from "../../src/secrets.ts";
import { Folder } from "../config/folder.ts";

// Owner × mode × type × parent × link, against what three programs that guard secrets ask of a file:
//   PostgreSQL, be-secure-common.c: ours: no bit of group or others; root's: no write or execute of the group, nothing of others
//   OpenSSH, authfile.c sshkey_perm_ok: ours: no bit of group or others; auth.c safe_path: no folder that group or others can write
//   sudo, sudo_secure_path: a regular file of the owner, not writable by others nor by the group
// Ours is theirs, with one thing that is laxer and asked for by the guides: the group may read (0440, 0640).

const name = "jira/inbound.token";
const isRoot = process.getuid?.() === 0;
const stranger = 12_345;

interface Cell {
  owner: "us" | "stranger";
  mode: number;
  type: "file" | "folder" | "pipe";
  parent: number;
  link: "none" | "file" | "folder";
}

const modes = [0o400, 0o440, 0o600, 0o640, 0o604, 0o606, 0o620, 0o622, 0o644, 0o660, 0o664, 0o666];
const parents = [0o700, 0o750, 0o755, 0o770, 0o775, 0o777, 0o1777];
const plain: Cell = { owner: "us", mode: 0o600, type: "file", parent: 0o700, link: "none" };

const cells: Cell[] = [
  ...modes.flatMap((mode) => parents.map((parent) => ({ ...plain, mode, parent }))),
  ...(["folder", "pipe"] as const).flatMap((type) => [0o600, 0o700].map((mode) => ({ ...plain, type, mode }))),
  ...(["file", "folder"] as const).flatMap((link) => [0o700, 0o770].map((parent) => ({ ...plain, link, parent }))),
  ...[0o400, 0o440, 0o600, 0o640, 0o644].map((mode) => ({ ...plain, owner: "stranger" as const, mode })),
];

/** What PostgreSQL and OpenSSH say of a file of our own, and sudo of any. */
const postgres = ({ mode }: Cell): boolean => (isRoot ? (mode & 0o037) === 0 : (mode & 0o077) === 0);
const openssh = ({ mode, parent }: Cell): boolean => (mode & 0o077) === 0 && (parent & 0o022) === 0;
const sudo = ({ owner, mode, type, link }: Cell): boolean =>
  owner === "us" && type === "file" && link === "none" && (mode & 0o022) === 0;

const isOurs = ({ mode, parent }: Cell): boolean => (mode & 0o026) === 0 && (parent & 0o022) === 0;

function isAccepted(cell: Cell): boolean {
  using folder = new Folder();
  const path = join(folder.path, name);
  const above = join(folder.path, "jira");
  const value = createToken();
  mkdirSync(above, { mode: 0o700 });
  if (cell.type === "file") folder.write(name, value);
  else if (cell.type === "folder") mkdirSync(path);
  else Bun.spawnSync(["mkfifo", path]);
  chmodSync(path, cell.mode);
  if (cell.owner === "stranger") chownSync(path, stranger, stranger);
  let asked = name;
  if (cell.link === "file") {
    symlinkSync(path, join(above, "linked.token"));
    asked = "jira/linked.token";
  } else if (cell.link === "folder") {
    symlinkSync(above, join(folder.path, "linked"));
    asked = "linked/inbound.token";
  }
  chmodSync(above, cell.parent);
  try {
    return openVault(folder.path).accepts(asked, value) !== null;
  } catch (fault) {
    if (!(fault instanceof MeshError) || fault.kind !== "permission") throw fault;
    expect(fault.hint ?? "").not.toBe("");
    return false;
  } finally {
    chmodSync(above, 0o700);
  }
}

const shown = (cell: Cell): string =>
  ({
    toString: () =>
      `${cell.type} of ${cell.owner} 0${cell.mode.toString(8)} in 0${cell.parent.toString(8)}, link: ${cell.link}`,
  }).toString();

describe("a secret file", () => {
  const possible = cells.filter(({ owner }) => isRoot || owner === "us");
  test(`there are ${cells.length} cells`, () => expect(cells.length).toBeGreaterThanOrEqual(60));

  test.each(possible.map((cell) => [shown(cell), cell] as const))("%s", (_about, cell) => {
    const accepted = isAccepted(cell);
    expect(accepted).toBe(sudo(cell) && isOurs(cell));
    // Never laxer than sudo, nor than OpenSSH of folders; than PostgreSQL and OpenSSH only where the group may read.
    if (accepted) {
      expect(sudo(cell)).toBe(true);
      expect((cell.parent & 0o022) === 0).toBe(true);
      if (!postgres(cell) || !openssh(cell)) expect(cell.mode & 0o077).toBe(0o040);
    }
  });
});
