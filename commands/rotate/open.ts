import { type Loaded, loadConfig } from "../../src/config.ts";
import { MeshError } from "../../src/core/error.ts";
import { duration } from "../../src/core/units.ts";
import { log, setLogLevel } from "../../src/log.ts";
import { type Testimony, testimonyIn } from "../../src/rotation/evidence.ts";
import { removeExpired } from "../../src/rotation/expire.ts";
import { statusOf } from "../../src/rotation/status.ts";
import { type Subject, subjectNamed } from "../../src/rotation/subjects.ts";
import { openForCommand } from "../../src/stores/open.ts";

export const secretArg = {
  type: "positional",
  required: true,
  description: "path of the secret under secrets_dir, or tls",
  valueHint: "secret",
} as const;

export const forceArg = { type: "boolean", description: "do it all the same, and say what it breaks" } as const;

/** Loads the configuration, and deletes values before whose time is over. */
export async function opened(file: string | undefined): Promise<Loaded> {
  if (!process.env.MESHMAC_LOG_LEVEL) setLogLevel("warn");
  const loaded = await loadConfig({ file });
  await removeExpired(loaded.config, Date.now());
  return loaded;
}

/** The same, and the one secret that was named. */
export async function openedFor(file: string | undefined, name: string): Promise<Loaded & { subject: Subject }> {
  const loaded = await opened(file);
  return { ...loaded, subject: subjectNamed(loaded.config, name) };
}

/** Asks the store who uses what; null, with a word in the log, where it cannot be asked now. */
export async function testimonyOf({ config, subject }: Loaded & { subject?: Subject }): Promise<Testimony | null> {
  // A node that asks over HTTPS has no store to look into; its gateway has.
  if (subject?.kind === "connect") return null;
  try {
    const store = await openForCommand(config);
    try {
      return await testimonyIn(store, config.store.kind);
    } finally {
      await store.close();
    }
  } catch (fault) {
    if (!(fault instanceof MeshError) || fault.kind === "bug") throw fault;
    log.warn("store not asked", { why: fault.message });
    return null;
  }
}

const patience = 3000;
const askAgainAfter = 250;

/** Asks the store like `testimonyOf`; where gateways have only to read a file that was just staged, gives them a moment. */
export async function settledTestimonyOf(
  loaded: Loaded & { subject: Subject },
  quiet: number,
): Promise<Testimony | null> {
  const { config, subject } = loaded;
  for (const end = performance.now() + patience; ; await new Promise((next) => setTimeout(next, askAgainAfter))) {
    const testimony = await testimonyOf(loaded);
    const objections = statusOf(subject, { config, testimony, now: Date.now(), quiet }).objections ?? [];
    const passing = objections.some(({ id }) => id === "not-told" || id === "not-loaded");
    if (!passing || performance.now() > end) return testimony;
  }
}

/** Reads `--quiet`. Throws `usage` where it is no duration. */
export function quietFrom(said: string | undefined, usual: number): number {
  if (said === undefined) return usual;
  const { success, data } = duration.safeParse(said);
  if (success) return data;
  throw new MeshError("usage", `--quiet expects a duration like 90s or 5m, got ${JSON.stringify(said)}`);
}
