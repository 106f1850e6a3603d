import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { systemUser } from "../user.ts";

/** Why the group of a file is too wide to read a secret: who is in it beside us; null where it is not, or may not read. */
export function wideGroup(file: string, etc: string): string | null {
  const { gid, mode } = statSync(file);
  if ((mode & 0o040) === 0) return null;
  const group = rowsOf(etc, "group").find(([, , id]) => Number(id) === gid);
  if (!group) return null;
  const [name = "", , , members = ""] = group;
  if (everybody.has(name)) return `${name}, which every user of the machine is in`;
  const primary = rowsOf(etc, "passwd").filter(([, , , id]) => Number(id) === gid);
  const inIt = new Set([...members.split(","), ...primary.map(([user = ""]) => user)].filter((user) => user !== ""));
  // Root reads it in any case.
  const others = [...inIt].filter((user) => user !== systemUser() && user !== "root");
  const allowed = process.getuid?.() === 0 ? 1 : 0; // looked at by root, one of them may be the gateway's own user
  return others.length > allowed ? `${name}: ${others.slice(0, 5).join(", ")}` : null;
}

const everybody = new Set(["users", "staff", "everyone", "nogroup"]);

function rowsOf(etc: string, list: "group" | "passwd"): string[][] {
  try {
    const lines = readFileSync(join(etc, list), "utf8").split("\n");
    return lines.filter((line) => line !== "" && !line.startsWith("#")).map((line) => line.split(":"));
  } catch {
    return []; // a machine that keeps them elsewhere
  }
}
