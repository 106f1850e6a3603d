import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { MeshError } from "../core/error.ts";
import { maskPatterns } from "../core/redact.ts";
import { systemFault } from "../core/system-fault.ts";
import { diffOf } from "./diff.ts";
import { launchd } from "./launchd.ts";
import { type Machine, tell } from "./machine.ts";
import { whose } from "./marker.ts";
import type { Place, Plan } from "./plan.ts";
import { plistOf, wordsOf as wordsOfPlist } from "./plist.ts";
import type { State, Supervisor } from "./supervisor.ts";
import { systemd } from "./systemd.ts";
import { unitOf, wordsOf as wordsOfUnit } from "./unit.ts";

/** The file of a service, as `install` writes it. */
export const textOf = (plan: Plan): string => (plan.kind === "unit" ? unitOf(plan) : plistOf(plan));

const supervisorOf = ({ kind }: Place): Supervisor => (kind === "unit" ? systemd : launchd);

/** Says what `installService` would write, and changes nothing, asks no rights and tells the system nothing; `differs` where it would change something. */
export function previewInstall(plan: Plan, machine: Machine): Done {
  const there = read(machine.root + plan.file);
  const wanted = textOf(plan);
  const lines = plan.left.map(({ name, why }) => `${name} would not be taken along: ${why}`);
  if (there === wanted) return { lines: [...lines, `${plan.file} is as it should be`], differs: false };
  const what = there === null ? "is not there; it would be written:" : `${writers[whose(there)]}; with --replace:`;
  const diff =
    there === null
      ? wanted
          .trimEnd()
          .split("\n")
          .map((line) => `+${line}`)
      : diffOf(there, wanted);
  const shown = diff.map(maskPatterns);
  return { lines: [...lines, `${plan.file} ${what}`, ...shown], differs: true };
}

/** What was done, in lines for whoever asked; `differs` where a file is there that was left as it is. */
export interface Done {
  lines: string[];
  differs: boolean;
}

/**
 * Writes the service's file and makes the system run it. Again changes nothing. A file that differs is shown and left,
 * or with `replace` kept as a backup and replaced. Throws `usage` for root where `asRoot` does not say that it is meant, `permission` where this user may not, `unavailable` where the
 * system did not take it.
 */
export async function installService(
  plan: Plan,
  machine: Machine,
  { replace = false, asRoot = false } = {},
): Promise<Done> {
  checkRights(plan, machine);
  if (plan.user === "root" && !asRoot) {
    throw new MeshError("usage", `who is to run ${plan.servant}? root can do more than it needs`, {
      hint: "--user NAME, a user who can read the configuration and its secrets; or --user root",
    });
  }
  const path = machine.root + plan.file;
  const wanted = textOf(plan);
  const there = read(path);
  const lines = plan.left.map(({ name, why }) => `${name} was not taken along: ${why}`);
  if (there !== null && there !== wanted && !replace) {
    const shown = diffOf(there, wanted).map(maskPatterns);
    return { lines: [`${plan.file} ${writers[whose(there)]}; it was left as it is:`, ...shown], differs: true };
  }
  if (plan.user !== null) await checkUser(plan.user, machine);
  try {
    await makeFolders(plan, machine);
    if (there === wanted) lines.push(`${plan.file} is as it should be`);
    else {
      if (there !== null) lines.push(`kept ${backup(path).slice(machine.root.length)}`);
      write(path, wanted);
      lines.push(`wrote ${plan.file}`);
    }
  } catch (fault) {
    throw systemFault(fault) ?? fault;
  }
  const loaded = await supervisorOf(plan).load(plan, machine, there !== null && there !== wanted);
  return { lines: [...lines, ...loaded], differs: false };
}

const writers = {
  ours: "was written for other settings or by another meshmac",
  edited: "was edited since meshmac wrote it",
  foreign: "was not written by meshmac",
};

/** Ends the service and removes its file, where we wrote it; one that was edited is kept as a backup. */
export async function uninstallService(place: Place, machine: Machine): Promise<Done> {
  const path = machine.root + place.file;
  const there = read(path);
  if (there === null) return { lines: [`no ${place.file}: nothing to remove`], differs: false };
  checkRights(place, machine);
  const writer = whose(there);
  if (writer === "foreign") return { lines: [`${place.file} ${writers.foreign}; it was left as it is`], differs: true };
  const lines = await supervisorOf(place).unload(place, machine);
  if (writer === "edited") {
    lines.push(`kept ${backup(path).slice(machine.root.length)}, because it was edited since meshmac wrote it`);
  }
  rmSync(path);
  await supervisorOf(place).forget(place, machine);
  return { lines: [...lines, `removed ${place.file}`, leftAlone], differs: false };
}

const leftAlone = "left alone: the binary, the configuration with its secrets, state and logs";

export interface Status extends State {
  service: Place["servant"];
  kind: Place["kind"];
  file: string;
  /** "ours" as we wrote it, "edited" since, "foreign" or "none". */
  written: ReturnType<typeof whose> | "none";
}

/** Whether the service's file starts its servant with this configuration; null where there is no file. */
export function startsWith(place: Place, machine: Machine, config: string): boolean | null {
  const there = read(machine.root + place.file);
  if (there === null) return null;
  const written = (place.kind === "unit" ? wordsOfUnit : wordsOfPlist)(place.servant, config);
  return there.includes(written);
}

/** Says whether the service's file is there and whose it is, and what the system says of the service. */
export async function statusOf(place: Place, machine: Machine): Promise<Status> {
  const there = read(machine.root + place.file);
  const state = await supervisorOf(place).state(place, machine);
  return {
    service: place.servant,
    kind: place.kind,
    file: place.file,
    written: there === null ? "none" : whose(there),
    ...state,
  };
}

function checkRights({ kind, servant }: Place, { uid }: Machine): void {
  if (kind === "agent" && uid === 0) {
    throw new MeshError("usage", "a LaunchAgent belongs to the user who builds, and this is root", {
      hint: "run it as that user, without sudo",
    });
  }
  if (kind !== "agent" && uid !== 0) {
    throw new MeshError("permission", `only root can install or remove the service ${servant}`, {
      hint: "the same with sudo --preserve-env=HTTPS_PROXY,HTTP_PROXY,NO_PROXY, and --config FILE where it is not in /etc/meshmac",
    });
  }
}

async function checkUser(user: string, machine: Machine): Promise<void> {
  if (!/^[A-Za-z_][\w.-]{0,63}$/.test(user)) throw new MeshError("usage", `${JSON.stringify(user)} is no user's name`);
  if ((await tell(machine, ["id", "-u", user])).status === 0) return;
  throw new MeshError("config", `this machine has no user ${JSON.stringify(user)}`, {
    hint: "create the user, or name another one with --user",
  });
}

/** Makes the folders without which launchd or systemd would not start it, each the service's own. */
async function makeFolders({ user, log, writable }: Plan, machine: Machine): Promise<void> {
  for (const folder of new Set([...writable, ...(log ? [dirname(log.file)] : [])])) {
    const path = machine.root + folder;
    if (existsSync(path)) continue;
    mkdirSync(dirname(path), { recursive: true });
    mkdirSync(path, { mode: 0o700 });
    if (user !== null) await tell(machine, ["chown", "-h", user, path]);
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (fault) {
    if (fault instanceof Error && "code" in fault && fault.code === "ENOENT") return null;
    throw systemFault(fault) ?? fault;
  }
}

/** Keeps a copy beside a file, under a name that nothing has; answers it. */
function backup(path: string): string {
  let name = `${path}.bak`;
  for (let n = 2; existsSync(name); n++) name = `${path}.bak${n}`;
  copyFileSync(path, name);
  chmodSync(name, 0o600);
  return name;
}

/** Whole or not at all; readable by all, as launchd and systemd ask, and writable by its owner alone. */
function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const aside = `${path}.${process.pid}.new`;
  try {
    writeFileSync(aside, text, { mode: 0o644, flag: "wx" });
    chmodSync(aside, 0o644);
    renameSync(aside, path);
  } finally {
    rmSync(aside, { force: true });
  }
}
