import { isLoopback } from "../core/units.ts";
import { durabilityInWords } from "../stores/redis/durability.ts";
import type { Survey } from "../stores/redis/survey.ts";
import { defineCheck, type Finding } from "./check.ts";

type Id =
  | "store-volatile"
  | "store-evicts"
  | "store-replica"
  | "store-cannot-write"
  | "store-full"
  | "store-old"
  | "store-failover-loses"
  | "store-user-strong"
  | "store-slow";

/** The oldest Redis that every script is run on. */
const oldest = 7;
const slow = 100;
const nearlyFull = 0.9;

/** Looks at the Redis that carries the pool: whether it keeps what it is given, how fast it answers, and what we may do to it. */
export const redis = defineCheck<Id>({
  name: "redis",
  on: "any",
  faults: {
    "store-volatile": { severity: "error", breaks: "serve refuses it: a restart of Redis would lose every queued run" },
    "store-evicts": { severity: "error", breaks: "serve refuses it: an evicted key is a lost run" },
    "store-replica": { severity: "error", breaks: "nothing is accepted: a replica takes no writes" },
    "store-cannot-write": { severity: "error", breaks: "nothing is accepted until Redis can write its file again" },
    "store-full": { severity: "warning", breaks: "soon Redis refuses every write, and doors answer 503 or spool" },
    "store-old": { severity: "warning", breaks: "nobody has tried this meshmac on it" },
    "store-failover-loses": {
      severity: "warning",
      breaks: "a failover can take back deliveries that were acknowledged seconds before",
    },
    "store-user-strong": { severity: "warning", breaks: "who gets this password can do more than meshmac needs" },
    "store-slow": {
      severity: "warning",
      breaks: "every delivery waits that long; after 3.5 s it is refused or spooled",
    },
  },
  async look(scene) {
    // That it cannot be reached, the check of the store says.
    const survey = scene.config.node.connect === undefined ? await scene.survey().catch(() => null) : null;
    return survey ? [...unfitness(survey), ...weaknesses(survey)] : [];
  },
});

/** Whether the store would refuse this Redis. */
export const isUnfit = (survey: Survey): boolean => unfitness(survey).length > 0;

/** Says in words what survives a power cut. */
export function durabilityOf({ info, settings }: Survey): string {
  const words = durabilityInWords(info, settings.appendfsync ?? null);
  if (words !== "power-safe" || settings["no-appendfsync-on-rewrite"] !== "yes") return words;
  return "power-safe but while its file is rewritten: no-appendfsync-on-rewrite is on";
}

function unfitness({ place, info }: Survey): Finding<Id>[] {
  const about = place;
  if (info.role !== "master") {
    const says = `it is a replica of ${info.master_host ?? "another"}:${info.master_port ?? "?"}`;
    return [
      { id: "store-replica", about, says, fix: "name its master in `store`, or its sentinels: redis+sentinel://" },
    ];
  }
  const faults: Finding<Id>[] = [];
  if (info.aof_enabled !== "1") {
    const fix = "redis-cli CONFIG SET appendonly yes, and the same in its configuration file";
    faults.push({ id: "store-volatile", about, says: "appendonly is off: it keeps nothing", fix });
  }
  if (Number(info.maxmemory) > 0 && info.maxmemory_policy !== "noeviction") {
    const says = `maxmemory-policy is ${JSON.stringify(info.maxmemory_policy)}`;
    const fix = "redis-cli CONFIG SET maxmemory-policy noeviction, and the same in its configuration file";
    faults.push({ id: "store-evicts", about, says, fix });
  }
  if (info.aof_last_write_status !== undefined && info.aof_last_write_status !== "ok") {
    const says = "its last write to its append-only file failed";
    faults.push({ id: "store-cannot-write", about, says, fix: "free space on its disk; its log says more" });
  }
  return faults;
}

function weaknesses(survey: Survey): Finding<Id>[] {
  const { place: about, info, settings, ms } = survey;
  const faults: Finding<Id>[] = [];
  const say = (id: Id, says: string, fix: string) => void faults.push({ id, about, says, fix });

  const [used, most] = [Number(info.used_memory), Number(info.maxmemory)];
  if (most > 0 && used / most > nearlyFull)
    say(
      "store-full",
      `it uses ${Math.round((100 * used) / most)} % of maxmemory`,
      "raise maxmemory, or lower keep.runs",
    );

  const version = info.redis_version ?? "0";
  if (Number.parseInt(version, 10) < oldest)
    say("store-old", `it is Redis ${version}`, `install Redis ${oldest}.0 or later`);

  const replicas = Number(info.connected_slaves ?? 0);
  if (replicas > 0 && settings["min-replicas-to-write"] === "0")
    say(
      "store-failover-loses",
      `it has ${replicas} ${replicas === 1 ? "replica" : "replicas"} and waits for none (min-replicas-to-write 0)`,
      "redis-cli CONFIG SET min-replicas-to-write 1, min-replicas-max-lag 10, and in its configuration file",
    );

  if (tooStrong(survey))
    say(
      "store-user-strong",
      `its user ${survey.user ?? ""} may ${(survey.spare ?? []).join(", ")}`,
      "give meshmac a user of its own, with the rights in docs/builders.md, and name it: redis://USER@HOST",
    );

  if (ms > slow)
    say(
      "store-slow",
      `the fastest of five round trips took ${Math.round(ms)} ms`,
      "move it nearer, or look what keeps it busy: redis-cli SLOWLOG GET",
    );
  return faults;
}

/** A Redis of this machine alone, without users, has nobody else to be kept from it. */
function tooStrong({ user, spare, place }: Survey): boolean {
  if (!spare || spare.length === 0) return false;
  return user !== "default" || !place.split(",").every((one) => isLoopback(one.replace(/:\d+$/, "")));
}
