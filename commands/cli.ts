import { stripVTControlCharacters } from "node:util";
import { type ArgsDef, type CommandDef, renderUsage, runCommand, type SubCommandsDef } from "citty";
import { type ErrorKind, exitStatus, MeshError } from "../src/core/error.ts";
import { nearest } from "../src/core/nearest.ts";
import { asksForHelp, strictArgs } from "./flags.ts";

// citty types a command by its flags; a registry holds commands with different ones.
type Command = CommandDef<ArgsDef>;

export interface Streams {
  out(text: string): void;
  err(text: string): void;
  /** Whether `out` shows colours. */
  colour: boolean;
}

/**
 * Runs what was typed against a tree of commands and returns the exit status: what the command answers, else 0, a MeshError's own, or 70 for our bugs.
 * citty describes, parses and runs; what it lets pass (unknown flags, `--help` after `--`, stack traces) is refused here.
 */
export async function run(root: Command, typed: readonly string[], streams: Streams): Promise<number> {
  try {
    return await runTyped(root, typed, streams);
  } catch (fault) {
    return await report(fault, streams.err);
  }
}

/** What to do next after a failure that knows nothing better. */
const nextSteps: Record<ErrorKind, string> = {
  differs: "meshmac doctor says what is wrong and how to mend it",
  usage: "the command with --help shows what it takes",
  data: "correct what was handed in",
  unavailable: "try again; meshmac doctor says what is wrong",
  bug: "run it again with MESHMAC_LOG_LEVEL=debug and report what it says",
  later: "try again later",
  permission: "look at the owner and mode of what it names",
  config: "meshmac config check says what is wrong with the configuration",
};

/** Says on stderr what went wrong and what to do next, never a stack trace, and returns the exit status. */
export async function report(fault: unknown, err: Streams["err"]): Promise<number> {
  if (fault instanceof MeshError) {
    err(`meshmac: ${fault.message}\nhint: ${fault.hint ?? nextSteps[fault.kind]}\n`);
    return fault.status;
  }
  const { systemFault } = await import("../src/core/system-fault.ts");
  const refused = systemFault(fault);
  // A path that leads nowhere may be our own doing; a right that is missing or a disk that is full is not.
  if (refused && refused.kind !== "config") return await report(refused, err);
  const { maskPatterns } = await import("../src/core/redact.ts");
  const message = fault instanceof Error ? fault.message : String(fault);
  err(`meshmac: internal error: ${maskPatterns(message.split("\n")[0] ?? "")}\n`);
  if (process.env.MESHMAC_LOG_LEVEL === "debug") {
    const { log } = await import("../src/log.ts");
    log.debug("internal error", { stack: fault instanceof Error ? maskPatterns(fault.stack ?? "") : null });
  } else {
    err(`hint: ${nextSteps.bug}\n`);
  }
  return exitStatus.bug;
}

async function runTyped(root: Command, typed: readonly string[], streams: Streams): Promise<number> {
  const { command, names, rest } = await find(root, typed);
  const name = names.join(" ");
  const args = await resolved(command.args ?? {});
  const isGroup = command.subCommands !== undefined;
  if (asksForHelp(rest) || (isGroup && rest.length === 0)) {
    streams.out(await help(command, names, streams.colour));
    return asksForHelp(rest) ? 0 : exitStatus.usage;
  }
  if (isGroup) throw await unknownCommand(command, rest[0] ?? "", name);
  // A command may answer with its own status; one that says nothing has done what was asked.
  const { result } = await runCommand(command, { rawArgs: strictArgs(rest, args, name) });
  return typeof result === "number" ? result : 0;
}

interface Found {
  command: Command;
  names: string[];
  rest: string[];
}

/** Follows the leading words down the tree as far as they name commands. */
async function find(root: Command, typed: readonly string[]): Promise<Found> {
  let command = root;
  const names = [(await resolved(root.meta ?? {})).name ?? "meshmac"];
  const rest = [...typed];
  for (;;) {
    const children = await childrenOf(command);
    const [word] = rest;
    const child = word !== undefined && Object.hasOwn(children, word) ? children[word] : undefined;
    if (word === undefined || child === undefined) return { command, names, rest };
    command = await resolved(child);
    names.push(word);
    rest.shift();
  }
}

async function unknownCommand(group: Command, word: string, name: string): Promise<MeshError> {
  const known = Object.keys(await childrenOf(group));
  const isFlag = word.startsWith("-");
  const meant = nearest(word, isFlag ? ["--help", ...(name === "meshmac" ? ["--version"] : [])] : known);
  const hint =
    meant === undefined ? `${name} --help lists the commands` : `did you mean ${isFlag ? meant : `${name} ${meant}`}?`;
  return new MeshError("usage", isFlag ? `unknown flag ${word}` : `unknown command ${JSON.stringify(word)}`, { hint });
}

/** The commands below a command, as they were registered. */
export const childrenOf = async (command: Command): Promise<SubCommandsDef> =>
  await resolved(command.subCommands ?? {});

/** citty takes every part of a command as a value, a promise or a function of either. */
export async function resolved<T>(part: T | Promise<T> | (() => T) | (() => Promise<T>)): Promise<T> {
  return await (isCall(part) ? part() : part);
}

const isCall = <T>(part: T | Promise<T> | (() => T | Promise<T>)): part is () => T | Promise<T> =>
  typeof part === "function";

async function help(command: Command, names: readonly string[], colour: boolean): Promise<string> {
  const meta = await resolved(command.meta ?? {});
  const usage = await renderUsage({ ...command, meta: { ...meta, name: names.join(" ") } });
  const text = usage.replace(/[ \t]+$/gm, "").trimEnd();
  return `${colour ? text : stripVTControlCharacters(text)}\n`;
}
