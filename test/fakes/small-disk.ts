import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const mount = 'size=$1 dir=$2 && shift 2 && mount -t tmpfs -o "size=$size" none "$dir" && exec "$@"';

const within = (size: string, dir: string, ...command: string[]) =>
  Bun.spawnSync(["unshare", "-rm", "sh", "-c", mount, "sh", size, dir, ...command]);

/** Whether a disk of any size can be had here, by whoever we are: Linux with user namespaces. */
export const canMount: boolean =
  process.platform === "linux" && Bun.which("unshare") !== null && within("1m", tmpdir(), "true").success;

/** Runs a TypeScript file in a process that has a disk of `size` at the folder in its first argument; answers the JSON that it prints last. */
export function onSmallDisk(file: string, size: string): unknown {
  const dir = mkdtempSync(join(tmpdir(), "meshmac-small-"));
  try {
    const { success, stdout, stderr } = within(size, dir, process.execPath, file, dir);
    if (!success) throw new Error(`${file} failed: ${stderr.toString()}`);
    return JSON.parse(stdout.toString().trim().split("\n").at(-1) ?? "");
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
