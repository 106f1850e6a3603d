import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { defineCheck } from "./check.ts";

const GiB = 2 ** 30;
// A clone, its DerivedData and an archive of an app of some size.
const enough = 10 * GiB;
const enoughInodes = 0.05;

/** Asks for room where the scripts work. */
export const nodeDisk = defineCheck({
  name: "disk",
  on: "node",
  faults: {
    "node-disk-low": { severity: "warning", breaks: "builds fail half way, with errors that do not name the disk" },
    "node-inodes-low": { severity: "warning", breaks: "builds fail half way, although the disk has room" },
  },
  async look({ config, machine }) {
    const about = config.node.work_dir;
    const { bytes_free, inodes, inodes_free } = await machine.room(nearestFolder(about));
    const left = inodes === 0 ? 1 : inodes_free / inodes;
    return [
      ...(bytes_free >= enough
        ? []
        : [
            {
              id: "node-disk-low" as const,
              about,
              says: `${(bytes_free / GiB).toFixed(1)} GiB are free there, less than ${enough / GiB}`,
              fix: "delete old simulators, archives and DerivedData, or set node.work_dir to a larger disk",
            },
          ]),
      ...(left >= enoughInodes
        ? []
        : [
            {
              id: "node-inodes-low" as const,
              about,
              says: `${inodes_free} of ${inodes} inodes are free there`,
              fix: "find folders of very many small files (caches, node_modules) and delete them",
            },
          ]),
    ];
  },
});

/** The worker makes its folder when it starts. */
function nearestFolder(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestFolder(dirname(path));
}
