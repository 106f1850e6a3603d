import { dirname } from "node:path";
import { type Config, configFrom, type Loaded, loadConfig } from "../config.ts";

/** A configuration that was read again while the one before runs. */
export interface Again {
  /** What can be put in the place of the one that runs; it keeps the running values of what needs a restart. */
  loaded: Loaded;
  /** The places whose values are others than those that run. */
  changed: string[];
  /** The places whose new values cannot be taken by a process that runs. */
  restart: string[];
}

type Raw = Readonly<Record<string, unknown>>;

/**
 * Reads the file of a running configuration again; the values at the `fixed` places stay what they are. Throws like
 * `loadConfig`, also where what is new does not go together with what stays; reads no secret.
 */
export async function loadAgain(
  file: string,
  running: Loaded,
  fixed: (next: Config) => readonly string[],
): Promise<Again> {
  const fresh = await loadConfig({ file });
  const restart = fixed(fresh.config).filter(
    (path) => !isSame(valueAt(fresh.config, path), valueAt(running.config, path)),
  );
  // As if the file still said it: so every check between the parts is made of what will run.
  const loaded = restart.length === 0 ? fresh : { ...staying(fresh, running, restart, dirname(file)), file };
  return { loaded, changed: differences(running.config, loaded.config), restart };
}

/** What the fresh file says, with what the running one said at these places; a section that only one of them has stays or goes as a whole. */
function staying(fresh: Loaded, running: Loaded, paths: string[], base: string): Loaded {
  const lacks = (path: string) => [fresh, running].some(({ config }) => valueAt(config, path) === undefined);
  const raw = paths.reduce((said, path) => {
    const keys = path.split(".");
    const sections = keys.map((_, i) => keys.slice(0, i + 1).join("."));
    const place = sections.find(lacks) ?? path;
    return put(said, place.split("."), valueAt(running.said, place));
  }, fresh.said);
  return configFrom(raw, { base });
}

function put(raw: Raw, [key = "", ...rest]: string[], value: unknown): Raw {
  const { [key]: inner, ...others } = raw;
  const next = rest.length > 0 ? put(isRaw(inner) ? inner : {}, rest, value) : value;
  return next === undefined ? others : { ...others, [key]: next };
}

/** Names every place where two configurations differ, as deep as both have it; a list is one place. */
export function differences(one: unknown, other: unknown, path = ""): string[] {
  if (isSame(one, other)) return [];
  if (!isPlain(one) || !isPlain(other)) return [path];
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...keys].flatMap((key) => differences(one[key], other[key], path === "" ? key : `${path}.${key}`));
}

// A Secret writes itself as its name.
const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

const isRaw = (value: unknown): value is Raw => typeof value === "object" && value !== null && !Array.isArray(value);

const isPlain = (value: unknown): value is Raw => isRaw(value) && Object.getPrototypeOf(value) === Object.prototype;

function valueAt(value: unknown, path: string): unknown {
  let here = value;
  for (const key of path.split(".")) here = isRaw(here) && Object.hasOwn(here, key) ? here[key] : undefined;
  return here;
}
