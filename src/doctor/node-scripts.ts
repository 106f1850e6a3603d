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

/** Files that are scripts by their ending or their first line, and that the worker does not run. */
async function unrunnable(dir: string, files: string[] | null): Promise<Finding<Id>[]> {
  const found = (files ?? []).map(async (file): Promise<Finding<Id>[]> => {
    const path = join(dir, file);
    const runnable = (await findScript(dir, basename(file, ".sh"))) !== null;
    if (runnable || !(file.endsWith(".sh") || (await beginsAsScript(path)))) return [];
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats?.isFile() && (stats.mode & 0o111) === 0) {
      const apply = () => chmodSync(path, (modeOf(path) | ((modeOf(path) & 0o444) >> 2)) & 0o7777);
      const fix = `chmod +x ${path}; what scripts only read belongs into a folder beside them`;
      const says = "it is not executable";
      return [{ id: "node-script-missing", about: path, says, fix, mend: { files: [path], apply } }];
    }
    const fix = "name it with a-z 0-9 _ - only, as a regular file of this folder that the worker's account can execute";
    return [{ id: "node-script-missing", about: path, says: "the worker does not run it as it stands", fix }];
  });
  return (await Promise.all(found)).flat();
}

const beginsAsScript = (path: string): Promise<boolean> =>
  Bun.file(path)
    .slice(0, 2)
    .text()
    .then(
      (text) => text === "#!",
      () => false,
    );

const modeOf = (path: string): number => statSync(path).mode & 0o7777;

function writable(path: string, { platform }: Scene): Finding<Id>[] {
  const stats = statSync(path, { throwIfNoEntry: false });
  // On a Mac every account is in the group `staff`; elsewhere each has a group of its own.
  const others = platform === "darwin" ? 0o022 : 0o002;
  if (!stats || (stats.mode & others) === 0) return [];
  const fix = `chmod ${platform === "darwin" ? "go-w" : "o-w"} ${path}`;
  // A folder cannot be copied first, and a link leads to a file that is not ours alone.
  const mend = lstatSync(path).isFile() && {
    mend: { files: [path], apply: () => chmodSync(path, modeOf(path) & ~others) },
  };
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
