import { Database } from "bun:sqlite";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { MeshError } from "../../core/error.ts";
import { failureOf } from "./failure.ts";
import { makePrivate } from "./file.ts";

export type Role = "owner" | "visitor";

// An exclusive transaction on a file of its own is a lock that the kernel frees with the process, kill -9 included. The
// connections stand here so that the garbage collector cannot close one: a collected lock is a lost one.
const locks = new Map<string, Database>();

const patience = 5000;
// `meshmac notify` keeps the file while it sends by itself, for up to a minute: a gateway that starts waits for it.
const patienceOfOwner = 75_000;
const between = 25;

/**
 * Takes the store's file for this process and answers how to give it back. Visitors stay for a moment, so they are waited for, up to 5 s
 * (by an owner up to 75 s); an owner stays: throws `later` at once, and names its process.
 */
export async function takeLock(path: string, role: Role): Promise<() => void> {
  const file = `${path}.lock`;
  const begun = performance.now();
  makePrivate(file);
  for (let tries = 1; ; tries++) {
    const lock = tryLock(file);
    if (lock) return keep(path, file, lock, role);
    const holder = holderOf(path);
    // A name may be one turn old: whoever has just taken the lock has yet to write its own.
    const visited = holder?.role === "visitor" && isAlive(holder.pid);
    const waitFor = role === "owner" && visited ? patienceOfOwner : patience;
    if ((tries > 4 && holder?.role === "owner" && isAlive(holder.pid)) || performance.now() > begun + waitFor) {
      throw new MeshError("later", `the store's file has another owner: ${JSON.stringify(path)}`, {
        hint: holder
          ? `process ${holder.pid} has it; stop that one, or use its socket`
          : "stop the process that has it",
      });
    }
    await new Promise((resolve) => setTimeout(resolve, between));
  }
}

/** Takes a file as a lock for this process, or answers null where another process has it. Answers how to give it back. */
export function holdFile(file: string): (() => void) | null {
  if (locks.has(file)) return null;
  makePrivate(file);
  const lock = tryLock(file);
  if (!lock) return null;
  locks.set(file, lock);
  return () => {
    if (locks.delete(file)) lock.close();
  };
}

function tryLock(file: string): Database | null {
  const lock = new Database(file, { create: true });
  try {
    lock.run("PRAGMA busy_timeout = 0");
    lock.run("BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock.close();
    if (error instanceof Error && "code" in error && String(error.code).startsWith("SQLITE_BUSY")) return null;
    throw failureOf(error);
  }
}

function keep(path: string, file: string, lock: Database, role: Role): () => void {
  locks.set(file, lock);
  writeFileSync(pidFile(path), `${role} ${process.pid}\n`, { mode: 0o600 });
  return () => {
    if (locks.get(file) !== lock) return;
    locks.delete(file);
    rmSync(pidFile(path), { force: true });
    lock.close();
  };
}

// Not in the lock file itself: in POSIX, closing any descriptor of a file drops the process's locks on it.
const pidFile = (path: string): string => `${path}.pid`;

function holderOf(path: string): { role: Role; pid: number } | null {
  try {
    const [, role, pid] = /^(owner|visitor) (\d+)$/m.exec(readFileSync(pidFile(path), "utf8")) ?? [];
    return role === undefined ? null : { role: role === "owner" ? "owner" : "visitor", pid: Number(pid) };
  } catch {
    return null;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
