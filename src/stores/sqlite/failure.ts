import { SQLiteError } from "bun:sqlite";
import { MeshError } from "../../core/error.ts";

/** Says what a failure of SQLite means for the caller; anything else stays as it is. */
export function failureOf(error: unknown): unknown {
  if (!(error instanceof SQLiteError)) return error;
  const code = error.code ?? "SQLITE_ERROR";
  const said = (kind: "unavailable" | "data" | "permission", message: string, hint?: string) =>
    new MeshError(kind, `${message} (${code})`, { cause: error, ...(hint !== undefined && { hint }) });
  if (isDisk(error)) {
    return code.startsWith("SQLITE_FULL")
      ? said("unavailable", "the disk of the store is full", "free some space; nothing of this step was kept")
      : said("unavailable", "the disk of the store failed", "look at the disk; nothing of this step was kept");
  }
  if (/^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG)/.test(code)) return said("data", "the store refused a record");
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(code)) {
    return said("unavailable", "the store's file is damaged", "restore it from a backup; keep the damaged file");
  }
  if (/^SQLITE_(READONLY|CANTOPEN|PERM|AUTH)/.test(code)) {
    return said(
      "permission",
      "the store's file cannot be written",
      "look at the owner and mode of the file and its folder",
    );
  }
  return said("unavailable", "the store failed");
}

/** True where the disk failed: trying the same again, step by step, would only fail again. */
export const isDisk = (error: unknown): boolean =>
  error instanceof SQLiteError && /^SQLITE_(FULL|IOERR)/.test(error.code ?? "");
