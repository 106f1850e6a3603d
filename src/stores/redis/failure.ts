import { MeshError } from "../../core/error.ts";

/** Says that nobody answered. `place` is host:port. */
export const silent = (place: string): MeshError =>
  new MeshError("unavailable", `redis at ${place} did not answer`, {
    hint: "start it, or correct store in the configuration; meshmac goes on trying",
  });

/**
 * Says what Redis or the way to it refused. Nothing of the original error is kept: ioredis hangs the arguments of the
 * command, and with them tasks and passwords, on what it throws.
 */
export function failure(error: unknown, place: string): MeshError {
  if (error instanceof MeshError) return error;
  const message = error instanceof Error ? error.message : "";
  const [code = ""] = /^[A-Z]{2,}(?= )/.exec(message) ?? [];
  if (code === "NOAUTH" || code === "WRONGPASS")
    return new MeshError("permission", `redis at ${place} refused the user or the password`, {
      hint: "name the file of the right password in store_password",
    });
  if (code === "NOPERM")
    return new MeshError("permission", `redis at ${place} does not let this user do that`, {
      hint: "it needs ~{<pool>}:* with @stream @hash @string @set @sortedset eval evalsha del exists pexpire persist time info",
    });
  if (/user_script:/.test(message))
    return new MeshError("bug", `a script failed in redis at ${place}, line ${/user_script:(\d+)/.exec(message)?.[1]}`);
  if (busy.has(code))
    return new MeshError("unavailable", `redis at ${place} refused with ${code}`, { hint: hints[code] ?? "wait" });
  if (code !== "" && code !== "ERR") return new MeshError("unavailable", `redis at ${place} refused with ${code}`);
  return silent(place);
}

const hints: Record<string, string> = {
  MISCONF: "redis cannot write its append-only file: look at its disk and its log",
  OOM: "redis is at maxmemory: give it more, or lower keep.runs",
  READONLY: "this redis is a replica: name its master, or its sentinels",
  LOADING: "redis is reading its file; it comes by itself",
};
const busy = new Set(Object.keys(hints));
