import { MeshError } from "../../core/error.ts";

/** The lines of INFO that decide whether this Redis may carry a pool. */
export type Info = Record<string, string>;

/** Reads the answer of INFO. */
export function readInfo(text: string): Info {
  const pairs = [...text.matchAll(/^([a-z][\w]*):(.*?)\r?$/gm)].map(([, name = "", value = ""]) => [name, value]);
  return Object.fromEntries(pairs);
}

/** Refuses a Redis that would lose what it acknowledged: no append-only file, an eviction policy, a replica, a full disk. */
export function demandDurable(info: Info, place: string): void {
  if (info.role !== "master")
    throw new MeshError("unavailable", `redis at ${place} is a replica`, { hint: "name its master, or its sentinels" });
  if (info.aof_enabled !== "1")
    throw new MeshError("config", `redis at ${place} keeps nothing: appendonly is off`, {
      hint: "set `appendonly yes` in its configuration: a restart would lose every queued run",
    });
  if (Number(info.maxmemory) > 0 && info.maxmemory_policy !== "noeviction")
    throw new MeshError(
      "config",
      `redis at ${place} evicts keys: maxmemory-policy is ${JSON.stringify(info.maxmemory_policy)}`,
      {
        hint: "set `maxmemory-policy noeviction`: an evicted key is a lost run",
      },
    );
  if (info.aof_last_write_status !== "ok")
    throw new MeshError("unavailable", `redis at ${place} cannot write its append-only file`, {
      hint: "look at its disk and its log",
    });
}

/** Says in words what survives, by what Redis answered on `appendfsync` (null when it would not say). */
export function durabilityInWords(info: Info, appendfsync: string | null): string {
  if (info.aof_enabled !== "1") return "volatile: a restart loses everything";
  if (appendfsync === "always") return "power-safe";
  if (appendfsync === "everysec") return "crash-safe, up to 2 s on power loss";
  if (appendfsync === "no") return "crash-safe, up to 30 s on power loss";
  return "crash-safe; redis does not let this user read appendfsync, so what a power loss takes is unknown";
}
