import { resolve } from "node:path";
import { openArchive } from "../../src/archive.ts";
import { isConfigured, type Loaded, loadConfig, secretsOf } from "../../src/config.ts";
import { MeshError } from "../../src/core/error.ts";
import { type Masks, masksOf } from "../../src/gateway/masked-store.ts";
import { maskedView } from "../../src/gateway/masked-view.ts";
import { openForOperator } from "../../src/stores/open.ts";
import type { GatewayPlace } from "../../src/stores/remote.ts";
import type { OperatorStore, Shown } from "../../src/stores/store.ts";
import { configOfUp, usualStateDir } from "../up/state.ts";

/** Lends the configured store to one short command, every secret that this user may read hidden in what it shows, and closes it again. */
export async function withStore<T>(
  file: string | undefined,
  use: (store: OperatorStore, masks: Masks, loaded: Loaded) => Promise<T>,
): Promise<T> {
  const found = await configured(file);
  const { config, vault } = found;
  for (const { secret } of secretsOf(config)) {
    try {
      vault.read(secret.name);
    } catch {
      // A node has none of the gateway's secrets: nothing of it to hide here.
    }
  }
  const masks = masksOf(vault);
  const admin = adminPlace(found);
  const store = await openForOperator({ ...config, archive: await openArchive(config.logs.archive), admin });
  try {
    return await use(maskedView(store, masks), masks, found);
  } finally {
    await store.close();
  }
}

/**
 * Finds the admin side that a machine without a store asks: its configuration names that side and its token, and neither a
 * store nor anything that a gateway would serve.
 */
export function adminPlace({ config, said }: Loaded): GatewayPlace | undefined {
  const { url, token, timeout, proxy, ca_file, client_cert, client_key, allow_http } = config.gateway.admin;
  if (url === undefined || !token || ["store", "sources", "chats"].some((key) => said[key] !== undefined))
    return undefined;
  return { connect: url, token, timeout, proxy, ca_file, client_cert, client_key, allow_http };
}

/** Loads the configuration; where there is none, what a `meshmac up` in this folder left. */
export async function configured(file: string | undefined): Promise<Loaded> {
  const left = file === undefined && !isConfigured() ? configOfUp(resolve(usualStateDir)) : null;
  return left ?? (await loadConfig({ file }));
}

/** Finds one run by its id or a unique ending of it; throws `data` where there is none. */
export async function oneRun(store: OperatorStore, id: string): Promise<Shown> {
  const shown = id === "" ? null : await store.show(id);
  if (shown) return shown;
  throw new MeshError("data", `no run ${JSON.stringify(id)}`, {
    hint: id.length < 4 ? "give at least four characters of its end" : "meshmac runs list shows what there is",
  });
}

export const runArg = { type: "positional", description: "run id, or a unique ending of it", required: true } as const;
