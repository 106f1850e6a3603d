import type { ArgDef, ArgsDef } from "citty";
import { MeshError } from "../src/core/error.ts";
import { nearest } from "../src/core/nearest.ts";

interface Flag {
  name: string;
  arg: ArgDef;
}

/** A positional that is a whole command of the user's, its own flags included: everything after `--`, at least one word. */
export const commandArg = {
  type: "positional",
  description: "what to run, with its own arguments, after --",
  required: true,
} as const;

/** The words of the `commandArg` of a command, from its `rawArgs`; `before` is how many positionals it takes beside. */
export const commandIn = (rawArgs: readonly string[], before: number): string[] =>
  rawArgs.slice(rawArgs.indexOf("--") + 1 + before);

/**
 * Checks what was typed against what a command takes, and writes it so that citty reads it one way only: `--name=value`,
 * `--name` or `--no-name`, then `--` and the positionals. Throws `usage` where something is unknown, missing or too much.
 */
export function strictArgs(typed: readonly string[], args: ArgsDef, name: string): string[] {
  const help = `${name} --help shows what it takes`;
  const wrong = (message: string, hint = help) => new MeshError("usage", message, { hint });
  const flags: string[] = [];
  const positionals: string[] = [];
  const command: string[] = [];
  const takesCommand = Object.values(args).includes(commandArg);
  const rest = [...typed];
  for (let token = rest.shift(); token !== undefined; token = rest.shift()) {
    if (token === "--") {
      (takesCommand ? command : positionals).push(...rest.splice(0));
    } else if (!token.startsWith("-") || token === "-") {
      positionals.push(token);
    } else {
      flags.push(strictFlag(token, rest, args, wrong));
    }
  }
  checkPositionals(positionals, args, wrong);
  for (const [key, arg] of Object.entries(args)) {
    const given = flags.some((flag) => flag.startsWith(`--${key}=`) || flag === `--${key}`);
    if (arg.type !== "positional" && arg.required && arg.default === undefined && !given)
      throw wrong(`--${key} is missing`);
  }
  if (takesCommand && (command[0] ?? "") === "")
    throw wrong("COMMAND is missing", `write it after --: ${name} … -- make`);
  return [...flags, "--", ...positionals, ...command];
}

/** Whether `--help` or `-h` was typed, before a `--`. */
export function asksForHelp(typed: readonly string[]): boolean {
  const end = typed.indexOf("--");
  return typed.slice(0, end === -1 ? undefined : end).some((token) => token === "--help" || token === "-h");
}

/** Every value of a flag that may be repeated, in order, from a command's `rawArgs`. */
export function listOf(rawArgs: readonly string[], name: string): string[] {
  const flags = rawArgs.slice(0, rawArgs.indexOf("--") >>> 0);
  return flags.filter((flag) => flag.startsWith(`--${name}=`)).map((flag) => flag.slice(name.length + 3));
}

type Wrong = (message: string, hint?: string) => MeshError;

function strictFlag(token: string, rest: string[], args: ArgsDef, wrong: Wrong): string {
  const [typed = "", ...after] = token.split("=");
  const given = after.length > 0 ? after.join("=") : undefined;
  const negated = typed.startsWith("--no-") ? findFlag(`--${typed.slice(5)}`, args) : undefined;
  if (negated?.arg.type === "boolean" && given === undefined) return `--no-${negated.name}`;
  const flag = findFlag(typed, args);
  if (!flag) throw unknownFlag(typed, args, wrong);
  const { name, arg } = flag;
  if (arg.type === "boolean" || arg.type === undefined) {
    if (given !== undefined) throw wrong(`--${name} takes no value`);
    return `--${name}`;
  }
  const value = given ?? nextValue(rest);
  if (value === undefined) throw wrong(`--${name} needs a value`);
  if (arg.type === "enum" && arg.options && !arg.options.includes(value)) {
    const meant = nearest(value, arg.options);
    const hint = meant === undefined ? undefined : `did you mean ${meant}?`;
    throw wrong(`--${name} expects one of ${arg.options.join(", ")}, got ${JSON.stringify(value)}`, hint);
  }
  return `--${name}=${value}`;
}

/** The next word as a value; a word that begins with `-` is a flag, write `--name=-value` to mean a value. */
function nextValue(rest: string[]): string | undefined {
  const [next] = rest;
  return next === undefined || (next.startsWith("-") && next !== "-") ? undefined : rest.shift();
}

function findFlag(typed: string, args: ArgsDef): Flag | undefined {
  const word = typed.replace(/^--?/, "");
  const long = typed.startsWith("--");
  for (const [name, arg] of Object.entries(args)) {
    if (arg.type === "positional") continue;
    const aliases = ["alias" in arg ? (arg.alias ?? []) : []].flat();
    const names = [...(name.length > 1 ? [name] : []), ...aliases.filter((alias) => alias.length > 1)];
    const letters = [name, ...aliases].filter((alias) => alias.length === 1);
    if ((long ? names : letters).includes(word)) return { name, arg };
  }
  return undefined;
}

function unknownFlag(typed: string, args: ArgsDef, wrong: Wrong): MeshError {
  const known = Object.entries(args).flatMap(([name, { type }]) => {
    if (type === "positional") return [];
    return type === "boolean" ? [`--${name}`, `--no-${name}`] : [`--${name}`];
  });
  const meant = nearest(typed, [...known, "--help"]);
  return wrong(`unknown flag ${typed}`, meant === undefined ? undefined : `did you mean ${meant}?`);
}

function checkPositionals(given: readonly string[], args: ArgsDef, wrong: Wrong): void {
  const wanted = Object.entries(args).filter(([, arg]) => arg.type === "positional" && arg !== commandArg);
  const missing = wanted
    .slice(given.length)
    .find(([, { required, default: usual }]) => required !== false && usual === undefined);
  if (missing) throw wrong(`${missing[0].toUpperCase()} is missing`);
  if (given.length > wanted.length) throw wrong(`unexpected argument ${JSON.stringify(given[wanted.length])}`);
}
