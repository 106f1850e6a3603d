import type { ArgsDef, CommandDef } from "citty";
import { childrenOf, resolved } from "../cli.ts";

/** What may follow one command: `runs logs` → its flags and commands. */
export interface Branch {
  /** The words that lead there; empty for the root. */
  path: string[];
  commands: string[];
  flags: string[];
  /** Flags whose value is one of a few words. */
  choices: Record<string, string[]>;
}

/** Walks a tree of commands and lists every branch of it, the root first. */
export async function branchesOf(command: CommandDef<ArgsDef>, path: string[] = []): Promise<Branch[]> {
  const children = await childrenOf(command);
  const args = Object.entries(await resolved(command.args ?? {}));
  const flags = args.filter(([, { type }]) => type !== "positional");
  const own: Branch = {
    path,
    commands: Object.keys(children),
    flags: ["--help", ...flags.map(([name]) => `--${name}`)],
    choices: Object.fromEntries(
      flags.flatMap(([name, arg]) => (arg.type === "enum" && arg.options ? [[`--${name}`, [...arg.options]]] : [])),
    ),
  };
  const below = await Promise.all(
    Object.entries(children).map(async ([name, child]) => branchesOf(await resolved(child), [...path, name])),
  );
  return [own, ...below.flat()];
}
