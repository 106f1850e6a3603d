import { defineCheck } from "./check.ts";

/** Asks whether the account of a Mac's worker is logged in at the screen: a LaunchAgent, the simulator and signing live there. */
export const nodeSession = defineCheck({
  name: "login session",
  on: "node",
  faults: {
    "node-no-login-session": {
      severity: "error",
      breaks: "the worker's LaunchAgent is not started, no simulator runs, and signing finds no key",
    },
  },
  async look({ config, platform, machine }) {
    if (platform !== "darwin") return [];
    // This domain is made by a login at the screen, and by no ssh.
    const { status } = await machine.run("/bin/launchctl", "print", `gui/${machine.uid}`);
    if (status === 0) return [];
    const owner = (await machine.run("/usr/bin/stat", "-f", "%Su", "/dev/console")).out.trim();
    const isNobody = owner === "" || owner === "root" || owner === "_mbsetupuser";
    const says = `this account is not logged in at the screen; ${isNobody ? "nobody is" : "another one is"}`;
    const fix = "log in there, and turn automatic login on (System Settings, Users & Groups): it survives a restart";
    return [{ id: "node-no-login-session" as const, about: config.node.id, says, fix }];
  },
});
