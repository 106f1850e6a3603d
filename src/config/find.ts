import { statSync } from "node:fs";
import { homedir } from "node:os";
import { extname, join, relative, resolve } from "node:path";
import { MeshError } from "../core/error.ts";

type Env = Record<string, string | undefined>;

// A .ts runs code, so only --config loads one.
const searched = [".yaml", ".yml", ".toml", ".json"];
const named = [...searched, ".ts"];

/** Returns the absolute path of the configuration: `file` where one was named, else the first in the usual places. Throws `config`. */
export function findConfig({ file, cwd, env }: { file?: string | undefined; cwd: string; env: Env }): string {
  if (file !== undefined) return namedFile(resolve(cwd, file));
  const found = usualConfig({ cwd, env });
  if (found !== null) return found;
  const folders = usualFolders(cwd, env).join(", ");
  throw new MeshError("config", `no meshmac.config.yaml (.yml, .toml, .json) in ${folders}`, {
    hint: "name one with --config FILE, set MESHMAC_CONFIG_ROOT to its folder, or try it out without one: meshmac up",
  });
}

/** Returns the absolute path of the first configuration in the usual places, or null where there is none. */
export function usualConfig({ cwd, env }: { cwd: string; env: Env }): string | null {
  for (const folder of usualFolders(cwd, env)) {
    for (const ending of searched) {
      const path = join(folder, `meshmac.config${ending}`);
      if (isFile(path)) return path;
    }
  }
  return null;
}

/** Names a file as briefly as is clear from `cwd`. */
export function shortName(path: string, cwd: string): string {
  const short = relative(cwd, path);
  return short.startsWith("..") ? path : short;
}

function usualFolders(cwd: string, env: Env): string[] {
  const root = env.MESHMAC_CONFIG_ROOT || env.OPENCLAW_CONFIG_ROOT;
  const home = env.HOME || homedir();
  return [...(root ? [resolve(cwd, root)] : []), cwd, join(home, ".config/meshmac"), "/etc/meshmac"];
}

function namedFile(path: string): string {
  if (!named.includes(extname(path))) {
    throw new MeshError("config", `${path} is no configuration file`, {
      hint: `its name ends with ${named.join(", ")}`,
    });
  }
  if (!isFile(path))
    throw new MeshError("config", `no configuration file ${path}`, { hint: "--config names an existing file" });
  return path;
}

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true;
