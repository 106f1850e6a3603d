import type { Machine } from "./machine.ts";
import type { Place } from "./plan.ts";

/** What the system says of a service. */
export interface State {
  loaded: boolean;
  running: boolean;
  pid: number | null;
  last_exit: number | null;
}

/** launchd or systemd: whoever starts a service and starts it again. Each answers the lines to show to the person who asked. */
export interface Supervisor {
  /** Makes it run now and after every start; `replaced` says that its file changed under it. */
  load(place: Place, machine: Machine, replaced: boolean): Promise<string[]>;
  /** Ends it, and keeps it from starting again. */
  unload(place: Place, machine: Machine): Promise<string[]>;
  /** Forgets its file, which is gone. */
  forget(place: Place, machine: Machine): Promise<void>;
  state(place: Place, machine: Machine): Promise<State>;
}
