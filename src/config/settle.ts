import { dirname, resolve } from "node:path";
import { type Config, type Parsed, lane } from "./schema.ts";

/** Makes every path of a parsed configuration absolute, from `base`, and fills in what follows from the rest. */
export function settle(parsed: Parsed, base: string): Config {
  const path = (relative: string) => resolve(base, relative);
  const store = parsed.store.kind === "sqlite" ? { ...parsed.store, path: path(parsed.store.path) } : parsed.store;
  const { tls } = parsed.gateway;
  const { archive } = parsed.logs;
  return {
    ...parsed,
    store,
    secrets_dir: path(parsed.secrets_dir),
    state_dir: parsed.state_dir
      ? path(parsed.state_dir)
      : store.kind === "sqlite"
        ? dirname(store.path)
        : path("./state"),
    logs: { ...parsed.logs, ...(archive && { archive: withPaths(archive, ["dir"], path) }) },
    gateway: {
      ...parsed.gateway,
      admin: withPaths(parsed.gateway.admin, outboundFiles, path),
      ...(tls && { tls: withPaths(tls, ["cert", "key", "client_ca"], path) }),
    },
    node: withPaths(parsed.node, ["scripts_dir", "work_dir", ...outboundFiles], path),
    chats: each(parsed.chats, (chat) => withPaths(chat, outboundFiles, path)),
    pagers: each(parsed.pagers, (pager) => withPaths(pager, outboundFiles, path)),
    ...(parsed.heartbeat && { heartbeat: withPaths(parsed.heartbeat, outboundFiles, path) }),
    sources: each(parsed.sources, (source) => ({
      ...source,
      ...(source.comment && { comment: withPaths(source.comment, outboundFiles, path) }),
      ...(source.reconcile && { reconcile: withPaths(source.reconcile, outboundFiles, path) }),
    })),
    lanes: { ...(parsed.lanes.default ? {} : { default: lane.parse({}) }), ...parsed.lanes },
    locks: { ...unsaidLocks(parsed), ...parsed.locks },
  };
}

const outboundFiles = ["ca_file", "client_cert", "client_key"] as const;

function withPaths<Entry extends object>(
  entry: Entry,
  keys: readonly (keyof Entry)[],
  path: (relative: string) => string,
): Entry {
  const settled = { ...entry };
  for (const key of keys) {
    const value = entry[key];
    if (typeof value === "string") Object.assign(settled, { [key]: path(value) });
  }
  return settled;
}

const each = <Entry>(entries: Record<string, Entry>, change: (entry: Entry) => Entry): Record<string, Entry> =>
  Object.fromEntries(Object.entries(entries).map(([name, entry]) => [name, change(entry)]));

const unsaidLocks = ({ lanes }: Parsed): Record<string, number> =>
  Object.fromEntries(Object.values(lanes).flatMap(({ locks }) => locks.map((name) => [name, 1])));
