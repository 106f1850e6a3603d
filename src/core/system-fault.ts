import { type ErrorKind, MeshError } from "./error.ts";

const kinds: Record<string, ErrorKind> = {
  EACCES: "permission",
  EPERM: "permission",
  EROFS: "permission",
  ENOSPC: "unavailable",
  EDQUOT: "unavailable",
  EIO: "unavailable",
  EMFILE: "unavailable",
  ENFILE: "unavailable",
  ENOENT: "config",
  ENOTDIR: "config",
  EISDIR: "config",
  EEXIST: "config",
  ELOOP: "config",
  ENAMETOOLONG: "config",
};

const hints: Partial<Record<ErrorKind, string>> = {
  permission: "look at its owner and mode, or choose another place",
  unavailable: "make room on the disk, or close what holds files open",
  config: "choose another place",
};

/**
 * Reads what the system refused as an error of ours, with the path and its code: `permission` for rights, `unavailable`
 * for a disk or table that is full, `config` for a path that leads nowhere. Null for anything else. `what` names the path's use.
 */
export function systemFault(fault: unknown, what?: string): MeshError | null {
  if (!(fault instanceof Error) || !("code" in fault) || !("syscall" in fault)) return null;
  const kind = kinds[String(fault.code)];
  if (kind === undefined) return null;
  const path = "path" in fault && typeof fault.path === "string" ? JSON.stringify(fault.path) : "a file";
  const message = `${what === undefined ? path : `${what} ${path}`} cannot be used (${String(fault.code)}, ${String(fault.syscall)})`;
  return new MeshError(kind, message, { ...(hints[kind] && { hint: hints[kind] }), cause: fault });
}
