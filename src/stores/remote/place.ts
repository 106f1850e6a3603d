import { lstatSync, readFileSync } from "node:fs";

// sun_path holds 104 bytes on macOS and 108 on Linux, the closing zero included: unix(4), unix(7).
const longestPath = 100;

/** Whether the system can bind a socket at this path. */
export const fitsSocket = (path: string): boolean => Buffer.byteLength(path) <= longestPath;

/** Where the path of the real socket is written down when `path` is too long for one. */
export const pointerOf = (path: string): string => `${path}.path`;

/** Finds the socket that an owner opened for `path`: there, or where it wrote down that it is. */
export function findSocket(path: string): string {
  if (fitsSocket(path)) return path;
  try {
    if (!lstatSync(pointerOf(path)).isFile()) return path;
    return readFileSync(pointerOf(path), "utf8").trim();
  } catch {
    return path;
  }
}
