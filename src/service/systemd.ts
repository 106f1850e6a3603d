import { MeshError } from "../core/error.ts";
import { type Machine, tell } from "./machine.ts";
import type { Place } from "./plan.ts";
import type { State, Supervisor } from "./supervisor.ts";

/** systemd, through systemctl(1). */
export const systemd: Supervisor = {
  async load(place, machine, replaced) {
    const { label } = place;
    await systemctl(machine, "daemon-reload");
    const { running } = await stateOf(place, machine);
    await systemctl(machine, "enable", label);
    if (running && replaced) return [`${label} still runs as it was; when it may end:`, `  systemctl restart ${label}`];
    if (running) return [`${label} runs`];
    await systemctl(machine, "start", label);
    return [`${label} was started and starts with every boot; its log: journalctl -u ${label}`];
  },

  async unload(place, machine) {
    const { label } = place;
    if (!(await stateOf(place, machine)).loaded) return [`${label} was not loaded`];
    // Without waiting: a worker's script may take long to end.
    await systemctl(machine, "disable", label);
    await systemctl(machine, "stop", "--no-block", label);
    return [`${label} was told to stop; it ends when its running script has`];
  },

  forget: async (_place, machine) => void (await tell(machine, ["systemctl", "daemon-reload"])),
  state: stateOf,
};

async function stateOf({ label }: Place, machine: Machine): Promise<State> {
  const properties = "--property=LoadState,ActiveState,MainPID,ExecMainStatus";
  const { out } = await tell(machine, ["systemctl", "show", label, properties]);
  const said = new Map(out.split("\n").map((line) => [line.split("=")[0], line.slice(line.indexOf("=") + 1)]));
  const pid = Number(said.get("MainPID") ?? 0);
  const status = said.get("ExecMainStatus");
  return {
    loaded: said.get("LoadState") === "loaded",
    running: ["active", "activating", "reloading", "deactivating"].includes(said.get("ActiveState") ?? ""),
    pid: pid > 0 ? pid : null,
    last_exit: status === undefined ? null : Number(status),
  };
}

async function systemctl(machine: Machine, ...args: string[]): Promise<void> {
  const { status, err } = await tell(machine, ["systemctl", ...args]);
  if (status === 0) return;
  throw new MeshError("unavailable", `systemctl ${args[0] ?? ""} failed: ${err.split("\n")[0] || `status ${status}`}`, {
    hint: "meshmac service print shows the unit; the file is written, and this can be run again",
  });
}
