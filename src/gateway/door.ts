import type { Config } from "../config.ts";
import type { SourceEntry } from "../config/schema.ts";
import { cidrSet, namedRanges, senderNamed } from "../core/cidr.ts";
import type { DoorRules } from "../core/decide.ts";
import { MeshError } from "../core/error.ts";
import type { Verify } from "../core/verify.ts";
import { sources as registered } from "../sources/registry.ts";
import type { Source } from "../sources/source.ts";
import type { Admission, SenderLists } from "./sender-lists.ts";

/** One configured inbound path with everything that a delivery needs looked up beforehand. */
export interface Door {
  /** Its name in the configuration: the `source` of what comes through it. */
  name: string;
  path: string;
  verify: Verify;
  /** The header that carries the token, else the signature. */
  header: string;
  /** The name of the secret that opens it. */
  token: string;
  source: Source;
  entry: SourceEntry;
  rules: DoorRules;
  /** Whether an address may knock; null where any may. */
  allows: ((ip: string) => Admission) | null;
}

type Lists = Pick<SenderLists, "of">;

/** Makes the doors as `doorsOf` does for who only asks how they decide: no list of addresses is fetched, so none that needs one lets anybody in. */
export const unhungDoors = (config: Config): Door[] => doorsOf(config, { of: () => () => "unknown" });

/** Makes a door of every configured source. Throws `config` where two share a path or an address range is unknown. */
export function doorsOf(config: Config, lists: Lists, sources: Source[] = registered): Door[] {
  const doors = Object.entries(config.sources).map(([name, entry]) => doorOf(name, entry, config, lists, sources));
  for (const [index, door] of doors.entries()) {
    const other = doors.findIndex(({ path }) => path === door.path);
    if (other === index) continue;
    throw new MeshError(
      "config",
      `sources.${door.name} and sources.${doors[other]?.name} share the path ${door.path}`,
      {
        hint: "give each source a path of its own",
      },
    );
  }
  return doors;
}

function doorOf(name: string, entry: SourceEntry, config: Config, lists: Lists, sources: Source[]): Door {
  const source = sources.find(({ kind }) => kind === entry.kind);
  if (!source) throw new MeshError("bug", `no source of the kind ${JSON.stringify(entry.kind)}`);
  const verify = source.verify(entry);
  return {
    name,
    path: entry.path,
    verify,
    header: (verify.token ?? verify.signature)?.header ?? "",
    token: entry.token.name,
    source,
    entry,
    rules: rulesFor(entry, config),
    allows: entry.allow_ips.length === 0 ? null : allowed(name, entry.allow_ips, lists),
  };
}

/** What a source's configuration says of the tasks it may make. */
export const rulesFor = (entry: SourceEntry, config: Pick<Config, "repos" | "lanes">): DoorRules => ({
  build_when: entry.build_when,
  cancel_when: entry.cancel_when,
  dedupe_on: entry.dedupe_on,
  debounce: entry.debounce,
  reconciles: entry.reconcile !== undefined,
  dry_run: entry.dry_run,
  task: entry.task,
  dedupe_window: entry.dedupe_window,
  repos: config.repos,
  lanes: config.lanes,
});

function allowed(name: string, entries: string[], lists: Lists): (ip: string) => Admission {
  const senders = entries.map(senderNamed).filter((sender) => sender !== undefined);
  let holds: (ip: string) => boolean;
  try {
    holds = cidrSet(entries.filter((entry) => senderNamed(entry) === undefined));
  } catch (cause) {
    throw new MeshError("config", `sources.${name}.allow_ips: ${cause instanceof Error ? cause.message : "invalid"}`, {
      hint: `name ranges like 10.0.0.0/8, or ${namedRanges.join(", ")}`,
      cause,
    });
  }
  const judges = senders.map((sender) => lists.of(sender));
  return (ip) => {
    if (holds(ip)) return "allowed";
    const words = judges.map((judge) => judge(ip));
    if (words.includes("allowed")) return "allowed";
    return words.includes("unknown") ? "unknown" : "refused";
  };
}
