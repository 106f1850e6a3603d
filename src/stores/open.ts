import { statSync } from "node:fs";
import { join } from "node:path";
import type { Archive } from "../core/archive.ts";
import { MeshError } from "../core/error.ts";
import type { Secret } from "../core/secret.ts";
import type { StoreUrl } from "../core/store-url.ts";
import type { Way } from "../http.ts";
import type { Survey } from "./redis/survey.ts";
import type { GatewayPlace } from "./remote.ts";
import type { NodeStore, OperatorStore, Store } from "./store.ts";

export interface StorePlace {
  store: StoreUrl;
  pool: string;
  state_dir: string;
  store_password?: Secret | undefined;
  /** Where logs are read from that are no longer under `state_dir`. */
  archive?: Archive | undefined;
  /** The gateway that this machine reaches in place of a store, if any. */
  node?: Way & { connect?: string | undefined; token?: Secret | undefined; timeout: number };
}

/** Opens the store as its owner: the gateway's way in. A Redis may be down; a volatile one is refused (78), a file with another owner too (75). */
export async function openOwned(place: StorePlace): Promise<Store> {
  refuseNode(place);
  if (place.store.kind === "sqlite") return await sqlite(place, place.store.path, "owner");
  const store = await redis(place);
  await store.ready();
  return store;
}

/** Opens the store as a node sees it: its gateway over HTTPS, Redis itself, or the socket of the process that owns the SQLite file. */
export async function openForNode(place: StorePlace): Promise<NodeStore> {
  const gateway = gatewayOf(place);
  if (gateway) return await overHttps(gateway);
  if (place.store.kind === "redis") return await redis(place);
  const { openRemote } = await import("./remote.ts");
  return await openRemote({ socket: socketOf(place) });
}

/** Opens the store for one short command: through its owner's socket, or for a moment the file itself where nobody owns it. */
export async function openForCommand(place: StorePlace): Promise<NodeStore & OperatorStore> {
  refuseNode(place);
  return (await openHere(place)).store;
}

/** What a command of an operator asks, wherever the store is. */
export type Asked = OperatorStore & { close(): Promise<void> };

/** Opens the store for a short command of an operator: on a machine that has none, the admin side of the gateway that does. */
export async function openForOperator(place: StorePlace & { admin?: GatewayPlace | undefined }): Promise<Asked> {
  if (!place.admin) return await openForCommand(place);
  const { openOverAdmin } = await import("./remote.ts");
  return { ...(await openOverAdmin(place.admin)), close: async () => {} };
}

/** Opens the store like `openForCommand`, but makes none where there is none: then it throws `unavailable`. */
export async function openToLook(place: StorePlace): Promise<NodeStore & OperatorStore> {
  const { store } = place;
  if (store.kind === "sqlite" && isMissing(store.path)) {
    throw new MeshError("unavailable", `there is no store at ${store.path} yet`, {
      hint: "start the gateway: meshmac serve",
    });
  }
  return await openForCommand(place);
}

/** Whether there is nothing at this path; where we may not look, opening says so. */
function isMissing(path: string): boolean {
  try {
    statSync(path);
    return false;
  } catch (fault) {
    return fault instanceof Error && "code" in fault && fault.code === "ENOENT";
  }
}

/** Looks at the Redis that the configuration names, fit or not; null where the store is none. Throws `unavailable` and `permission`. */
export async function openSurvey({ store, pool, store_password }: StorePlace): Promise<Survey | null> {
  if (store.kind !== "redis") return null;
  const { surveyRedis } = await import("./redis/survey.ts");
  return await surveyRedis({ url: store, pool, password: store_password });
}

/** A store, and whether this process may send by itself what stands in it: `own` is null where a gateway owns the file. */
export interface Opened {
  store: NodeStore & OperatorStore;
  own: Store | null;
}

/** A gateway that takes what is handed in, and tells nothing of what became of it. */
export interface Inward {
  store: NodeStore;
  own: null;
  inward: true;
}

/** Opens the store like `openForCommand`, for one that sends what it hands in where no gateway does. */
export async function openForReport(place: StorePlace): Promise<Opened | Inward> {
  const gateway = gatewayOf(place);
  return gateway ? { store: await overHttps(gateway), own: null, inward: true } : await openHere(place);
}

async function openHere(place: StorePlace): Promise<Opened> {
  if (place.store.kind === "redis") return owned(await redis(place));
  const { isOwned, openRemote } = await import("./remote.ts");
  for (const end = performance.now() + patience; ; await new Promise((next) => setTimeout(next, lookAgainAfter))) {
    if (await isOwned(socketOf(place))) return { store: await openRemote({ socket: socketOf(place) }), own: null };
    try {
      return owned(await sqlite(place, place.store.path, "visitor"));
    } catch (error) {
      // An owner that has just begun, or is about to end, has the file and answers no socket.
      const isTaken = error instanceof MeshError && error.kind === "later";
      if (!isTaken || performance.now() > end) throw error;
    }
  }
}

/** Lends the store to a command that lasts. A file is opened anew for each use, so that a gateway can start meanwhile. */
export interface Lender {
  lend<T>(use: (store: OperatorStore) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** Opens the store for a command that lasts, see `Lender`. */
export async function openLender(place: StorePlace): Promise<Lender> {
  if (place.store.kind === "redis") {
    const store = await redis(place);
    return { lend: (use) => use(store), close: () => store.close() };
  }
  return {
    async lend(use) {
      const store = await openForCommand(place);
      try {
        return await use(store);
      } finally {
        await store.close();
      }
    },
    close: async () => {},
  };
}

const patience = 3000;
const lookAgainAfter = 50;

const owned = (store: Store): Opened => ({ store, own: store });

/** Where the owner of a SQLite store listens for the other processes of its machine. */
export const socketOf = ({ state_dir }: StorePlace): string => join(state_dir, "meshmac.sock");

function gatewayOf({ node }: StorePlace): GatewayPlace | null {
  if (!node?.connect || !node.token) return null;
  const { connect, token, timeout, proxy, ca_file, client_cert, client_key, allow_http } = node;
  return { connect, token, timeout, proxy, ca_file, client_cert, client_key, allow_http };
}

/** What needs the whole store cannot be had through a gateway: a node's token opens a node's verbs. */
function refuseNode(place: StorePlace): void {
  if (!gatewayOf(place)) return;
  throw new MeshError("config", "this machine reaches its pool through node.connect, and has no store", {
    hint: "run it on the gateway's machine, or ask it from here for runs, lanes and nodes: gateway.admin.url and gateway.admin.token",
  });
}

async function overHttps(gateway: GatewayPlace): Promise<NodeStore> {
  const { openOverHttps } = await import("./remote.ts");
  return await openOverHttps(gateway);
}

async function sqlite({ state_dir, archive }: StorePlace, path: string, role: "owner" | "visitor"): Promise<Store> {
  const { openSqlite } = await import("./sqlite.ts");
  return await openSqlite({ path, state_dir, archive, role });
}

async function redis({ store, pool, state_dir, archive, store_password }: StorePlace) {
  const { openRedis } = await import("./redis.ts");
  if (store.kind !== "redis") throw new TypeError("not a redis store");
  return await openRedis({ url: store, pool, state_dir, archive, ...(store_password && { password: store_password }) });
}
