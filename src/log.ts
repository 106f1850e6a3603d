import { createConsola, type LogObject } from "consola/core";
import { LogFile } from "./log/file.ts";

export type Fields = Record<string, unknown>;
type Level = "debug" | "info" | "warn" | "error";

const colour: Record<Level, string> = {
  debug: "\u001B[90m",
  info: "\u001B[36m",
  warn: "\u001B[33m",
  error: "\u001B[31m",
};
// C0, C1, bidirectional overrides and isolates: a log line must not be able to rewrite the terminal or the lines around it.
const unprintable = /[\u0000-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/g;
const file = openFile(process.env.MESHMAC_LOG_FILE);
const pretty = file === null && process.stderr.isTTY === true;
const coloured = pretty && !process.env.NO_COLOR;

// Lines that come within this many milliseconds are written with one call.
const gather = 10;
let pending = "";
let redact = (line: string): string => line;

/** The one consola of the house: stderr or MESHMAC_LOG_FILE, JSON lines off a terminal, in small batches. */
const consola = createConsola({
  level: levelOf(process.env.MESHMAC_LOG_LEVEL),
  reporters: [{ log: (entry) => write(entry) }],
  throttle: 0,
});

function openFile(path: string | undefined): LogFile | null {
  if (!path) return null;
  try {
    return new LogFile(path);
  } catch (fault) {
    const code = fault instanceof Error && "code" in fault ? ` (${String(fault.code)})` : "";
    process.stderr.write(`meshmac: MESHMAC_LOG_FILE cannot be opened${code}, the log goes to stderr\n`);
    return null;
  }
}

function levelOf(name: string | undefined): number {
  return { error: 0, warn: 1, info: 3, debug: 4 }[name ?? "info"] ?? 3;
}

function write(entry: LogObject): void {
  const [message, fields] = entry.args as [string, Fields | undefined];
  const level = entry.type as Level;
  const line = pretty ? forPeople(entry.date, level, message, fields) : forMachines(entry.date, level, message, fields);
  if (pending === "") setTimeout(flushLog, gather);
  pending += `${redact(line)}\n`;
}

function forMachines(date: Date, level: Level, message: string, fields: Fields = {}): string {
  const line = { time: date.toISOString(), level, msg: message, ...fields };
  // A replacer makes JSON.stringify twenty times slower (3.1 → 0.15 µs a line): only a line with an error in it pays for one.
  return Object.values(fields).some(isError) ? JSON.stringify(line, printable) : JSON.stringify(line);
}

const isError = (value: unknown): boolean => value instanceof Error;

function printable(_key: string, value: unknown): unknown {
  return value instanceof Error ? value.message : value;
}

function forPeople(date: Date, level: Level, message: string, fields: Fields = {}): string {
  const [on, off] = coloured ? [colour[level], "\u001B[0m"] : ["", ""];
  const rest = Object.entries(fields)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value, printable)}`);
  const plain = [message, ...rest].join(" ").replace(unprintable, " ");
  return `${date.toTimeString().slice(0, 8)} ${on}${level.padEnd(5)}${off} ${plain}`;
}

/** Writes what is pending now; the executable calls it before it exits. */
export function flushLog(): void {
  if (pending === "") return;
  const lines = pending;
  pending = "";
  if (file === null) process.stderr.write(lines);
  else file.write(lines);
}

/** Passes every line through `mask` before it is written: no exact secret value leaves by the log. */
export function redactLog(mask: (line: string) => string): void {
  redact = mask;
}

/** Says only what is at least this important. */
export function setLogLevel(level: Level): void {
  consola.level = levelOf(level);
}

/**
 * The only voice of the house. A line is a constant lower-case past-tense sentence; everything variable is a field.
 * error = a person must act; warn = we are retrying or lost something; info = one line per delivery, run state, settled post.
 */
export const log = {
  debug: (message: string, fields?: Fields) => void consola.debug(message, fields),
  info: (message: string, fields?: Fields) => void consola.info(message, fields),
  warn: (message: string, fields?: Fields) => void consola.warn(message, fields),
  error: (message: string, fields?: Fields) => void consola.error(message, fields),
};
