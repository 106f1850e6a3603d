import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { findConfig, shortName, usualConfig } from "./config/find.ts";
import { parseConfig } from "./config/parse.ts";
import { type Problem, refused } from "./config/problems.ts";
import { readConfig } from "./config/read.ts";
import type { Config } from "./config/schema.ts";
import { bindSecrets } from "./config/named.ts";
import { settle } from "./config/settle.ts";
import { openVault, type Vault } from "./secrets.ts";

export { placesOf } from "./config/places.ts";
export { checkFiles } from "./config/files.ts";
export { keyFilesOf, type NamedSecret, secretsOf } from "./config/named.ts";
export { type Problem, refused } from "./config/problems.ts";
export { type Config, configSchema } from "./config/schema.ts";

type Env = Record<string, string | undefined>;

export interface Loaded {
  config: Config;
  /** The secret files that the configuration names; every Secret in it reads from here. */
  vault: Vault;
  /** The absolute path of the file, or null where there was none. */
  file: string | null;
  /** What the file says as it stands. */
  said: Readonly<Record<string, unknown>>;
  /** Tells the file as it was read from any other state of it; null where there was none. */
  digest: string | null;
}

export interface Examined {
  /** What errors call the file. */
  name: string;
  file: string;
  problems: Problem[];
  /** Null where there are problems. */
  loaded: Loaded | null;
  /** What is right of it: for who has to look at a broken one. */
  parts: Loaded;
}

interface Where {
  file?: string | undefined;
  cwd?: string;
  env?: Env;
}

/** Loads the named or the found configuration. Throws `config` (78) with every problem in it at once; reads no secret. */
export async function loadConfig(where: Where = {}): Promise<Loaded> {
  const { name, problems, loaded } = await examineConfig(where);
  if (!loaded) throw refused(name, problems);
  return loaded;
}

/** Says whether there is a configuration in the usual places. */
export const isConfigured = ({ cwd = process.cwd(), env = process.env }: Where = {}): boolean =>
  usualConfig({ cwd, env }) !== null;

/** Names the configuration in the usual places as briefly as is clear; null where there is none. */
export function configName({ cwd = process.cwd(), env = process.env }: Where = {}): string | null {
  const path = usualConfig({ cwd, env });
  return path === null ? null : shortName(path, cwd);
}

/** Reads the named or the found configuration and lists what is wrong in it. Throws `config` where there is none, or it does not parse. */
export async function examineConfig({ file, cwd = process.cwd(), env = process.env }: Where = {}): Promise<Examined> {
  const path = findConfig({ file, cwd, env });
  const name = shortName(path, cwd);
  // Before it is read: of a file that changes meanwhile, this is the state that nobody will find again.
  const digest = await digestOf(path);
  const raw = await readConfig(path, name);
  const { problems, parts } = examine(raw, { base: dirname(path), env });
  const whole = { ...parts, file: path, digest };
  return {
    name,
    file: path,
    problems,
    loaded: problems.length > 0 ? null : whole,
    parts: whole,
  };
}

/** Tells one state of a file from another, also from that of being unreadable. Never throws. */
export async function digestOf(file: string): Promise<string> {
  const bytes = await readFile(file).catch((fault: unknown) => String(fault));
  return new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
}

/** Makes a Config of what a file would hold; relative paths are relative to `base`. Throws like `loadConfig`. */
export function configFrom(raw: unknown, { base, env = process.env }: { base: string; env?: Env }): Loaded {
  const { problems, parts } = examine(raw, { base, env });
  if (problems.length > 0) throw refused("the configuration", problems);
  return parts;
}

function examine(raw: unknown, { base, env }: { base: string; env: Env }): { problems: Problem[]; parts: Loaded } {
  const { config: parsed, problems } = parseConfig(withNodeId(raw, env.MESH_NODE_ID));
  const config = settle(parsed, base);
  const vault = openVault(config.secrets_dir);
  bindSecrets(config, vault);
  return { problems, parts: { config, vault, file: null, said: own(raw), digest: null } };
}

const own = (raw: unknown): Record<string, unknown> =>
  typeof raw === "object" && raw !== null && !Array.isArray(raw) ? { ...raw } : {};

/** The environment's MESH_NODE_ID wins over the file's `node.id`, so that one file can serve many nodes. */
function withNodeId(raw: unknown, id: string | undefined): unknown {
  if (!id || typeof raw !== "object" || raw === null || Array.isArray(raw)) return raw;
  const node: unknown = Reflect.get(raw, "node") ?? {};
  return typeof node === "object" && !Array.isArray(node) ? { ...raw, node: { ...node, id } } : raw;
}
