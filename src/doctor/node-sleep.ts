import { MeshError } from "../core/error.ts";
import { defineCheck } from "./check.ts";

/** Asks whether a Mac goes to sleep by itself while it waits for work. */
export const nodeSleep = defineCheck({
  name: "sleep",
  on: "node",
  faults: {
    "node-sleeps": { severity: "warning", breaks: "a Mac that sleeps takes no build until somebody wakes it" },
  },
  async look({ config, platform, machine }) {
    if (platform !== "darwin") return [];
    const { out } = await machine.run("/usr/bin/pmset", "-g");
    const minutes = settingOf(out, "sleep");
    if (minutes === null) throw new MeshError("unavailable", "pmset did not say whether this Mac sleeps");
    if (minutes === 0) return [];
    // Alone it does nothing: it only deepens a sleep that has begun.
    const standby = settingOf(out, "standby") ? ", then goes into standby" : "";
    const says = `it falls asleep after ${minutes} idle minutes${standby}`;
    return [{ id: "node-sleeps" as const, about: config.node.id, says, fix: "sudo pmset -a sleep 0 standby 0" }];
  },
});

function settingOf(text: string, name: string): number | null {
  const [, value] = new RegExp(`^ *${name} +(\\d+)`, "m").exec(text) ?? [];
  return value === undefined ? null : Number(value);
}
