import { type ArgsDef, type CommandDef, defineCommand } from "citty";
import { MeshError } from "../src/core/error.ts";
import { print } from "./args.ts";
import { shells } from "./completions/shells.ts";
import { branchesOf } from "./completions/tree.ts";

/** Makes the command that completes the words of the tree it belongs to. */
export const completionsOf = (root: () => Promise<CommandDef<ArgsDef>>) =>
  defineCommand({
    meta: { name: "completions", description: "Print what a shell needs to complete commands and flags" },
    args: { shell: { type: "positional", description: Object.keys(shells).join(", "), required: true } },
    async run({ args }) {
      const write = Object.hasOwn(shells, args.shell) ? shells[args.shell] : undefined;
      if (!write) {
        throw new MeshError("usage", `no completions for ${JSON.stringify(args.shell)}`, {
          hint: `there is ${Object.keys(shells).join(", ")}`,
        });
      }
      print(write(await branchesOf(await root())).trimEnd());
    },
  });
