import { Secret } from "../core/secret.ts";
import type { Vault } from "../secrets.ts";
import type { Config } from "./schema.ts";

/** A secret that the configuration names: where it does, and whether the value opens a door of ours. */
export interface NamedSecret {
  path: string;
  secret: Secret;
  inbound: boolean;
}

const opensDoor = /^sources\.[^.]+\.token$|^gateway\.admin\.token$/;

/** Lists every secret that a configuration names. */
export function secretsOf(value: unknown, path = ""): NamedSecret[] {
  if (value instanceof Secret) return [{ path, secret: value, inbound: opensDoor.test(path) }];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => secretsOf(inner, path === "" ? key : `${path}.${key}`));
}

/** Lists the private key files that a configuration names. */
export function keyFilesOf({
  gateway,
  chats,
  pagers,
  heartbeat,
  sources,
  node,
}: Config): { path: string; file: string }[] {
  const outbound = [
    ...Object.entries(chats).map(([name, entry]) => ({ at: `chats.${name}`, entry })),
    ...Object.entries(pagers).map(([name, entry]) => ({ at: `pagers.${name}`, entry })),
    { at: "heartbeat", entry: heartbeat },
    { at: "node", entry: node },
    { at: "gateway.admin", entry: gateway.admin },
    ...Object.entries(sources).map(([name, { comment }]) => ({ at: `sources.${name}.comment`, entry: comment })),
    ...Object.entries(sources).map(([name, { reconcile }]) => ({ at: `sources.${name}.reconcile`, entry: reconcile })),
  ];
  const files = outbound.map(({ at, entry }) => ({ path: `${at}.client_key`, file: entry?.client_key }));
  return [{ path: "gateway.tls.key", file: gateway.tls?.key }, ...files].flatMap(({ path, file }) =>
    file === undefined ? [] : [{ path, file }],
  );
}

/** Whether both values of a secret are sent while one is staged: the new one first, the old one where it is refused, or both signatures. What a message is posted to is swapped instead, for a test post can prove it beforehand. */
function isDual(path: string, { chats, pagers }: Pick<Config, "chats" | "pagers">): boolean {
  if (/^sources\.[^.]+\.(comment|reconcile)\.token$|^store_password$|^node\.token$/.test(path)) return true;
  const [, room, name = ""] = /^(chats|pagers)\.([^.]+)\.key$/.exec(path) ?? [];
  return (room === "chats" ? chats : pagers)[name]?.kind === "webhook";
}

/** Connects every Secret of a configuration to the vault. */
export function bindSecrets(config: Config, vault: Vault): void {
  for (const { path, secret } of secretsOf(config)) {
    const dual = isDual(path, config);
    secret.bind(() => (dual ? vault.sendable(secret.name) : vault.sendable(secret.name).slice(-1)));
  }
}
