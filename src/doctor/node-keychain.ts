import { MeshError } from "../core/error.ts";
import { defineCheck } from "./check.ts";

// errSecInteractionNotAllowed, -25308: https://developer.apple.com/documentation/security/errsecinteractionnotallowed
const locked = /interaction is not allowed|-25308/i;
// The program answers with the last byte of that code.
const lockedStatus = 36;

/** Asks whether the default keychain of a Mac's worker can be used without anybody typing a password. */
export const nodeKeychain = defineCheck({
  name: "keychain",
  on: "node",
  faults: {
    "node-keychain-locked": { severity: "warning", breaks: "codesign fails with errSecInternalComponent" },
  },
  async look({ platform, machine, env }) {
    if (platform !== "darwin") return [];
    const { status, err } = await machine.run("/usr/bin/security", "show-keychain-info");
    if (status === 0) return [];
    if (status !== lockedStatus && !locked.test(err))
      throw new MeshError("unavailable", `security show-keychain-info ended with status ${status}`);
    const isRemote = env.SSH_CONNECTION !== undefined;
    const says = isRemote ? "it is locked for this ssh session, which has a lock of its own" : "it is locked";
    const fix = isRemote
      ? "make this check at the Mac itself; a script can open a keychain of its own: security unlock-keychain"
      : "security unlock-keychain, or log in at the screen; a script can open a keychain of its own";
    return [{ id: "node-keychain-locked" as const, about: "the default keychain", says, fix }];
  },
});
