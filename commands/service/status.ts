import { defineCommand } from "citty";
import { MeshError } from "../../src/core/error.ts";
import { type Status, statusOf } from "../../src/service/install.ts";
import { thisMachine } from "../../src/service/machine.ts";
import { jsonArgs, print } from "../args.ts";
import { placeFrom, servantArgs } from "./plan.ts";

export default defineCommand({
  meta: { name: "status", description: "Say whether the service is installed and runs; ends with 1 where it does not" },
  args: { ...servantArgs, ...jsonArgs },
  async run({ args }) {
    const machine = thisMachine();
    const status = await statusOf(placeFrom(args, machine), machine);
    print(args.json ? JSON.stringify(status) : inWords(status));
    if (!status.running) {
      const hint =
        status.written === "none" ? `meshmac service install ${status.service}` : "its log says why it ended";
      throw new MeshError("differs", `the service ${status.service} does not run`, { hint });
    }
  },
});

const files: Record<Status["written"], string> = {
  ours: "as meshmac wrote it",
  edited: "edited since meshmac wrote it",
  foreign: "not written by meshmac",
  none: "not there",
};

function inWords({ kind, file, written, loaded, running, pid, last_exit }: Status): string {
  const name = { agent: "LaunchAgent", daemon: "LaunchDaemon", unit: "systemd unit" }[kind];
  const now = running ? `runs${pid === null ? "" : ` (pid ${pid})`}` : loaded ? "loaded, does not run" : "not loaded";
  return [
    `${name} ${file}: ${files[written]}`,
    `${now}${last_exit === null || running ? "" : `, last exit status ${last_exit}`}`,
  ].join("\n");
}
