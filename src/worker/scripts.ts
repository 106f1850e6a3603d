import { constants } from "node:fs";
import { access, readdir, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";

const scriptName = /^[a-z0-9][a-z0-9_-]{0,63}$/;

/** Returns the real path of `<name>` or `<name>.sh` in `dir` when it is an executable regular file that lies in `dir`, else null. */
export async function findScript(dir: string, name: string): Promise<string | null> {
  if (!scriptName.test(name)) return null;
  const root = await realpath(dir).catch(() => null);
  if (root === null) return null;
  for (const file of [name, `${name}.sh`]) {
    const path = await realpath(join(root, file)).catch(() => null);
    if (path !== null && path.startsWith(root + sep) && (await isExecutable(path))) return path;
  }
  return null;
}

/** Lists the names of the scripts that this node can run. A folder that cannot be read holds none. */
export async function scriptsIn(dir: string): Promise<string[]> {
  const files = await readdir(dir).catch(() => []);
  const names = [...new Set(files.map((file) => file.replace(/\.sh$/, "")))].filter((name) => scriptName.test(name));
  const found = await Promise.all(names.map(async (name) => ((await findScript(dir, name)) === null ? [] : [name])));
  return found.flat().toSorted();
}

async function isExecutable(path: string): Promise<boolean> {
  const regular = await stat(path).then(
    (file) => file.isFile(),
    () => false,
  );
  return (
    regular &&
    access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
  );
}
