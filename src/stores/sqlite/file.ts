import { Database } from "bun:sqlite";
import { chmodSync, closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { MeshError } from "../../core/error.ts";
import { failureOf } from "./failure.ts";
import { settleSchema } from "./schema.ts";

// In the order they are set; what each must read back as. fullfsync matters on macOS alone, where fsync does not flush the drive.
const pragmas: [name: string, value: string, reads: string | number][] = [
  ["busy_timeout", "5000", 5000],
  ["journal_mode", "WAL", "wal"],
  ["synchronous", "FULL", 2],
  ["foreign_keys", "ON", 1],
  ["trusted_schema", "OFF", 0],
  // Four times the default: a burst of accepts copies its pages into the file less often.
  ["wal_autocheckpoint", "4000", 4000],
  ["cache_size", "-32768", -32_768],
  ["fullfsync", "ON", 1],
  ["checkpoint_fullfsync", "ON", 1],
  // macOS lends us Apple's SQLite, which may be below 3.51.3 and its fix of the WAL: nothing shared that need not be.
  ["mmap_size", "0", 0],
];

/**
 * Opens the store's file, made for the owner's eyes only, with every pragma read back and the schema in place.
 * Throws `config` where a pragma does not hold or the schema is another, `permission` or `unavailable` where the file cannot be had.
 */
export function openFile(path: string): Database {
  let db: Database | undefined;
  try {
    makePrivate(path);
    db = new Database(path, { create: true, strict: true });
    for (const pragma of pragmas) set(db, ...pragma);
    settleSchema(db);
    return db;
  } catch (error) {
    db?.close();
    throw failureOf(error);
  }
}

/** Creates a file of mode 0600 in folders of mode 0700; SQLite gives its -wal and -shm the mode of the file. */
export function makePrivate(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, "a", 0o600));
    chmodSync(path, 0o600);
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
    throw new MeshError("permission", `the store's file cannot be written (${code}): ${JSON.stringify(path)}`, {
      hint: "look at the owner and mode of the file and its folder",
      cause,
    });
  }
}

function set(db: Database, name: string, value: string, reads: string | number): void {
  db.run(`PRAGMA ${name} = ${value}`);
  const row = db.query<Record<string, string | number>, []>(`PRAGMA ${name}`).get();
  const got = Object.values(row ?? {})[0];
  // SQLite answers nothing where it was built without memory mapping: there is none to switch off.
  if (got === reads || (name === "mmap_size" && got === undefined)) return;
  throw new MeshError(
    "config",
    `the store's file does not keep ${name} = ${value}, it says ${JSON.stringify(got ?? null)}`,
    {
      hint: "keep the file on a local disk, not on a network or shared folder",
    },
  );
}
