import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { type Config, secretsOf } from "../config.ts";
import { MeshError } from "../core/error.ts";
import { systemFault } from "../core/system-fault.ts";
import { createToken, writeSecret } from "../secrets.ts";

// Read by the gateway's user and its group, changed by nobody: a rotation replaces the file, it does not write into it.
const folderMode = 0o750;
const fileMode = 0o440;

export interface Furnished {
  /** Inbound tokens that were drawn, and those that were there already. */
  made: string[];
  kept: string[];
  /** Secrets that only the other side can give. */
  wanted: { path: string; file: string }[];
}

/** Throws `config` where there is a configuration already. */
export function refuseExisting(file: string): void {
  if (!existsSync(file)) return;
  throw new MeshError("config", `there is a configuration already: ${file}`, {
    hint: "look at it with meshmac config check, or name another folder with --dir",
  });
}

/** Writes a configuration file where there is none, whole and on disk. Throws `config` where there is one. */
export function writeConfig(file: string, yaml: string): void {
  refuseExisting(file);
  try {
    mkdirSync(dirname(file), { recursive: true });
    const opened = openSync(file, "wx", 0o644);
    try {
      writeFileSync(opened, yaml);
      fsyncSync(opened);
    } catch (fault) {
      rmSync(file, { force: true });
      throw fault;
    } finally {
      closeSync(opened);
    }
  } catch (fault) {
    throw systemFault(fault) ?? fault;
  }
}

/**
 * Draws the inbound tokens that are not there yet, each 0440 in a folder 0750, with the group `gid` where one is given,
 * and lists what only the other side can give. An existing file is never touched.
 */
export function furnish(config: Config, gid?: number): Furnished {
  const all = secretsOf(config).map(({ path, secret, inbound }) => ({
    path,
    name: secret.name,
    inbound,
    file: join(config.secrets_dir, secret.name),
  }));
  const missing = all.filter(({ file }) => !existsSync(file));
  const drawn = missing.filter(({ inbound }) => inbound);
  const own = (path: string, mode: number) => {
    chmodSync(path, mode);
    if (gid !== undefined) chownSync(path, -1, gid);
  };
  const folders = [config.secrets_dir, ...all.map(({ file }) => dirname(file))];
  for (const folder of new Set(folders)) {
    // One that is there may be meant to be tighter than ours.
    if (mkdirSync(folder, { recursive: true, mode: folderMode }) !== undefined) own(folder, folderMode);
  }
  for (const { name, file } of drawn) {
    writeSecret(config.secrets_dir, name, createToken());
    own(file, fileMode);
  }
  return {
    made: drawn.map(({ file }) => file),
    kept: all
      .filter(({ inbound, file }) => inbound && !missing.some((one) => one.file === file))
      .map(({ file }) => file),
    wanted: missing.filter(({ inbound }) => !inbound).map(({ path, file }) => ({ path, file })),
  };
}

/** Finds the number of a group by its name or number. Throws `config` where there is none. */
export function groupId(group: string): number {
  if (/^\d+$/.test(group)) return Number(group);
  const line = readFileSync("/etc/group", "utf8")
    .split("\n")
    .find((one) => one.startsWith(`${group}:`));
  const gid = Number(line?.split(":")[2]);
  if (line && Number.isInteger(gid)) return gid;
  throw new MeshError("config", `no group ${JSON.stringify(group)} in /etc/group`, {
    hint: `create it, or give its number: --group $(getent group ${group} | cut -d: -f3)`,
  });
}
