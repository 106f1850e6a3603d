import { type Machine, tell } from "./machine.ts";
import type { Place } from "./plan.ts";
import type { State, Supervisor } from "./supervisor.ts";

const domainOf = ({ kind }: Place, { uid }: Machine): string => (kind === "agent" ? `gui/${uid}` : "system");
const targetOf = (place: Place, machine: Machine): string => `${domainOf(place, machine)}/${place.label}`;
// bootout(1) answers 36, EINPROGRESS, while the job drains.
const inProgress = 36;

/** launchd, through launchctl(1) and its words since OS X 10.10: bootstrap, bootout, print, enable. */
export const launchd: Supervisor = {
  async load(place, machine, replaced) {
    const [domain, target] = [domainOf(place, machine), targetOf(place, machine)];
    const byHand = [`  launchctl bootstrap ${domain} ${place.file}`];
    if ((await tell(machine, ["launchctl", "print", target])).status === 0) {
      if (!replaced) return [`${place.label} is loaded`];
      return [
        `${place.label} still runs as it was; when its running script may end:`,
        `  launchctl bootout ${target}`,
        ...byHand,
      ];
    }
    if (place.kind === "agent" && (await tell(machine, ["launchctl", "print", domain])).status !== 0) {
      return [
        "nobody is logged in at this Mac's screen, so it does not run yet: a LaunchAgent belongs to a login session",
        "log in there as this user (automatic login keeps it so after a restart) and it starts by itself, or type there:",
        ...byHand,
      ];
    }
    await tell(machine, ["launchctl", "enable", target]);
    const started = await tell(machine, ["launchctl", "bootstrap", domain, place.file]);
    if (started.status === 0)
      return [`${place.label} is loaded and starts with every ${place.kind === "agent" ? "login" : "boot"}`];
    return [`launchd did not take it (${reason(started)}); at the Mac's own screen, in Terminal, type:`, ...byHand];
  },

  async unload(place, machine) {
    const target = targetOf(place, machine);
    if ((await tell(machine, ["launchctl", "print", target])).status !== 0) return [`${place.label} was not loaded`];
    const ended = await tell(machine, ["launchctl", "bootout", target]);
    if (ended.status === 0) return [`${place.label} was stopped`];
    if (ended.status === inProgress) return [`${place.label} ends when its running script has`];
    return [`launchd did not stop it (${reason(ended)}); type: launchctl bootout ${target}`];
  },

  forget: () => Promise.resolve(),

  async state(place, machine) {
    const { status, out } = await tell(machine, ["launchctl", "print", targetOf(place, machine)]);
    return status === 0 ? stateIn(out) : { loaded: false, running: false, pid: null, last_exit: null };
  },
};

const reason = ({ status, err }: { status: number; err: string }): string => err.split("\n")[0] || `status ${status}`;

/** Reads what `launchctl print` says; it calls its own form no interface, so what is not found is null. */
function stateIn(text: string): State {
  const number = (pattern: RegExp): number | null => {
    const found = pattern.exec(text)?.[1];
    return found === undefined ? null : Number(found);
  };
  const pid = number(/^\s*pid = (\d+)$/m);
  return {
    loaded: true,
    running: pid !== null || /^\s*state = running$/m.test(text),
    pid,
    last_exit: number(/^\s*last exit code = (\d+)/m),
  };
}
