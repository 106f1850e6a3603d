import { chmodSync, lstatSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { findScript, scriptsIn } from "../worker/scripts.ts";
import { defineCheck, type Finding, type Scene } from "./check.ts";

type Id = "node-no-scripts" | "node-script-missing" | "node-script-writable";

/** Looks at the scripts of a node: whether there are any, whether the worker can run them, and who else could write them. */
export const nodeScripts = defineCheck<Id>({
  name: "scripts",
  on: "node",
  faults: {
    "node-no-scripts": { severity: "error", breaks: "this node is given no build" },
    "node-script-missing": { severity: "warning", breaks: "this node is given no build that needs this script" },
    "node-script-writable": {
      severity: "error",
      breaks: "whoever can write it runs what they like as the worker, with its signing identity",
    },
  },
  async look(scene) {
    const dir = scene.config.node.scripts_dir;
    const files = namesIn(dir);
    const missing = await unrunnable(dir, files);
    // Where a script is there and cannot be run, saying that is enough.
    const none = (await scriptsIn(dir)).length === 0 && missing.length === 0;
    return [
      ...(none ? [noScripts(dir, files)] : []),
      ...missing,
      ...[dir, ...(files ?? []).map((file) => join(dir, file))].flatMap((path) => writable(path, scene)),
    ];
  },
});

const noScripts = (dir: string, files: string[] | null): Finding<Id> => ({
  id: "node-no-scripts",
  about: dir,
  says: files === null ? "this folder is not there, or cannot be read" : "nothing in it is a script",
  fix: "put the scripts there that tasks name, as <name> or <name>.sh, or correct node.scripts_dir",
});

/** Files that are named as scripts are, by their ending or as a task would, and that the worker does not run. */
async function unrunnable(dir: string, files: string[] | null): Promise<Finding<Id>[]> {
  const found = (files ?? []).map(async (file): Promise<Finding<Id>[]> => {
    const path = join(dir, file);
    const name = basename(file, ".sh");
    if (!file.endsWith(".sh") || (await findScript(dir, name)) !== null) return [];
    const about = `${path}`;
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats?.isFile() && (stats.mode & 0o111) === 0) {
      const mode = (stats.mode & 0o777) | ((stats.mode & 0o444) >> 2);
      const mend = { files: [path], apply: () => chmodSync(path, mode) };
      return [{ id: "node-script-missing", about, says: "it is not executable", fix: `chmod +x ${path}`, mend }];
    }
    const fix = "name it with a-z 0-9 _ - only, as a regular file of this folder that the worker's account can execute";
    return [{ id: "node-script-missing", about, says: "the worker does not run it as it stands", fix }];
  });
  return (await Promise.all(found)).flat();
}

function writable(path: string, { platform }: Scene): Finding<Id>[] {
  const stats = statSync(path, { throwIfNoEntry: false });
  // On a Mac every account is in the group `staff`; elsewhere each has a group of its own.
  const others = platform === "darwin" ? 0o022 : 0o002;
  if (!stats || (stats.mode & others) === 0) return [];
  const mode = stats.mode & 0o7777 & ~others;
  const fix = `chmod ${mode.toString(8).padStart(4, "0")} ${path}`;
  // A folder cannot be copied first, and a link leads to a file that is not ours alone.
  const mend = lstatSync(path).isFile() && { mend: { files: [path], apply: () => chmodSync(path, mode) } };
  return [{ id: "node-script-writable", about: path, says: "other accounts can write it", fix, ...mend }];
}

/** Null where there is no such folder. */
function namesIn(dir: string): string[] | null {
  try {
    return readdirSync(dir).filter((name) => !name.startsWith("."));
  } catch {
    return null;
  }
}
