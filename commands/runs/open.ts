import { loadConfig } from "../../src/config.ts";
import { MeshError } from "../../src/core/error.ts";
import { openForCommand } from "../../src/stores/open.ts";
import type { OperatorStore, Shown } from "../../src/stores/store.ts";

/** Lends the configured store to one short command and closes it again. */
export async function withStore<T>(file: string | undefined, use: (store: OperatorStore) => Promise<T>): Promise<T> {
  const { config } = await loadConfig(file === undefined ? {} : { file });
  const store = await openForCommand(config);
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

/** Finds one run by its id or a unique ending of it; throws `data` where there is none. */
export async function oneRun(store: OperatorStore, id: string): Promise<Shown> {
  const shown = await store.show(id);
  if (shown) return shown;
  throw new MeshError("data", `no run ${JSON.stringify(id)}`, { hint: "meshmac runs list shows what there is" });
}

export const runArg = { type: "positional", description: "run id, or a unique ending of it", required: true } as const;
