import { defineCommand } from "citty";
import { exitStatus, MeshError } from "../../src/core/error.ts";
import { installService, previewInstall } from "../../src/service/install.ts";
import { thisMachine } from "../../src/service/machine.ts";
import { print } from "../args.ts";
import { planArgs, planFrom } from "./plan.ts";

export default defineCommand({
  meta: { name: "install", description: "Write the service's file and start it; again changes nothing" },
  args: {
    replace: { type: "boolean", description: "keep a file that differs as a backup, and replace it" },
    "dry-run": {
      type: "boolean",
      description: "show what would change, and change nothing; ends with 1 where something would",
    },
    ...planArgs,
  },
  async run({ args }) {
    const machine = thisMachine();
    const plan = await planFrom(args, machine);
    if (args["dry-run"]) {
      const { lines, differs } = previewInstall(plan, machine);
      print(lines.join("\n"));
      return differs ? exitStatus.differs : 0;
    }
    const { lines, differs } = await installService(plan, machine, {
      replace: args.replace === true,
      asRoot: args.user === "root",
    });
    print([...lines, ...(differs ? [] : about[plan.kind])].join("\n"));
    if (differs) {
      throw new MeshError("differs", `${plan.file} was left as it is`, {
        hint: "--replace keeps it as a backup and writes the new one",
      });
    }
  },
});

const about = {
  agent: [
    "a LaunchAgent, because codesign needs the login keychain and the simulator a login session; meshmac service status work shows it",
  ],
  daemon: ["a LaunchDaemon, because a gateway must be there after a restart before anybody has logged in"],
  unit: [],
};
