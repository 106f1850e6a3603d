import { readFile, realpath } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { pathToFileURL } from "node:url";
import type { LoadConfigOptions } from "c12";
import { MeshError } from "../core/error.ts";
import { systemFault } from "../core/system-fault.ts";

/** Reads one configuration file as it stands; `name` is what errors call it. Throws `config` with the line where it does not parse. */
export async function readConfig(path: string, name: string): Promise<unknown> {
  const { loadConfig } = await import("c12");
  try {
    const { config } = await loadConfig({
      ...onlyThisFile,
      cwd: dirname(path),
      configFile: basename(path),
      jiti: importer as unknown as NonNullable<LoadConfigOptions["jiti"]>,
    });
    return config;
  } catch (fault) {
    if (await isBlank(path)) return {};
    const refused = systemFault(fault, "the configuration");
    if (refused) throw refused;
    throw new MeshError("config", `${name} cannot be read: ${whereAndWhy(fault)}`, {
      hint: hintFor(fault),
      cause: fault,
    });
  }
}

// Nothing remote, nothing implicit: no layers, no rc files, no .env, no package.json, no code by NODE_ENV.
const onlyThisFile = {
  giget: false,
  extend: false,
  rcFile: false,
  globalRc: false,
  packageJson: false,
  dotenv: false,
  envName: false,
  configFileRequired: true,
  // One layer needs no merging, and c12's own would drop what is null.
  merger: (...layers: (object | null | undefined)[]) => layers.find((layer) => layer !== undefined) ?? {},
} satisfies LoadConfigOptions;

/** What c12 loads .ts and .json with: jiti, in a compiled binary, hides every error behind a missing Babel. */
const importer = {
  async import(path: string): Promise<unknown> {
    // Like a YAML file without a value, `null` is a configuration of defaults.
    if (path.endsWith(".json")) return JSON.parse(await readFile(path, "utf8")) ?? {};
    // A process that reads its configuration again is to find what the file says now.
    delete require.cache[await realpath(path)];
    const loaded: { default?: unknown } = await import(pathToFileURL(path).href);
    return loaded.default ?? loaded;
  },
};

/** c12 stumbles over a file that holds nothing; to us it is a configuration of defaults. */
async function isBlank(path: string): Promise<boolean> {
  const text = await readFile(path, "utf8").catch(() => "unreadable");
  return text.split("\n").every((line) => /^\s*(#.*|---)?\s*$/.test(line));
}

/** The line and the reason, without the lines around it, which may hold what nobody should see. */
function whereAndWhy(fault: unknown): string {
  if (!(fault instanceof Error)) return "it does not parse";
  const { line, column } = lineOf(fault);
  const place = line === undefined ? "" : `line ${line}${column === undefined ? "" : `, column ${column}`}: `;
  const reason = textOf(fault, "reason") ?? fault.message.split("\n")[0] ?? "";
  return place + reason.replace(/(?<=Unexpected identifier|Unrecognized token).*/, "");
}

function lineOf(fault: object): { line?: number; column?: number } {
  // js-yaml, Bun's transpiler, smol-toml. On any other error Bun's own line and column mean our code, not the file.
  const mark: unknown =
    Reflect.get(fault, "mark") ??
    Reflect.get(fault, "position") ??
    (Reflect.has(fault, "codeblock") ? fault : undefined);
  if (typeof mark !== "object" || mark === null) return {};
  const [line, column] = [Reflect.get(mark, "line"), Reflect.get(mark, "column")];
  // js-yaml counts from 0, the others from 1.
  const from = Reflect.has(fault, "mark") ? 1 : 0;
  return {
    ...(typeof line === "number" && { line: line + from }),
    ...(typeof column === "number" && { column: column + from }),
  };
}

const textOf = (fault: object, key: string): string | undefined => {
  const value: unknown = Reflect.get(fault, key);
  return typeof value === "string" ? value : undefined;
};

function hintFor(fault: unknown): string {
  const reason = fault instanceof Error ? (textOf(fault, "reason") ?? "") : "";
  if (reason.includes("duplicated")) return "keep one of the two";
  return fault instanceof Error && lineOf(fault).line !== undefined ? "correct that line" : "correct the file";
}
