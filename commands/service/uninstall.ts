import { defineCommand } from "citty";
import { MeshError } from "../../src/core/error.ts";
import { uninstallService } from "../../src/service/install.ts";
import { thisMachine } from "../../src/service/machine.ts";
import { print } from "../args.ts";
import { placeFrom, servantArgs } from "./plan.ts";

export default defineCommand({
  meta: { name: "uninstall", description: "End the service and remove its file, if meshmac wrote it" },
  args: servantArgs,
  async run({ args }) {
    const machine = thisMachine();
    const place = placeFrom(args, machine);
    const { lines, differs } = await uninstallService(place, machine);
    print(lines.join("\n"));
    if (differs) throw new MeshError("differs", `${place.file} was left as it is`, { hint: "remove it by hand" });
  },
});
