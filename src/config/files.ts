import { chats } from "../chats/registry.ts";
import { MeshError } from "../core/error.ts";
import { notAKey, standardKey } from "../core/standard-webhooks.ts";
import { sources } from "../sources/registry.ts";
import { checkKeyFile, type Vault } from "../secrets.ts";
import { keyFilesOf, secretsOf } from "./named.ts";
import type { Config } from "./schema.ts";

/** Checks every secret and key file that a configuration names; throws one error, 77 or 78, with all that is wrong and what to type. */
export function checkFiles(config: Config, vault: Vault): void {
  const checks = [
    ...secretsOf(config).map(({ path, secret, inbound }) => ({
      path,
      check: () => {
        vault.check(secret.name, { inbound });
        refuseUrl(config, path, vault.read(secret.name));
        refuseKey(config, path, vault.read(secret.name));
      },
    })),
    ...keyFilesOf(config).map(({ path, file }) => ({ path, check: () => checkKeyFile(file) })),
  ];
  const faults = checks.flatMap(({ path, check }) => {
    const fault = faultOf(check);
    return fault ? [{ path, fault }] : [];
  });
  if (faults.length === 0) return;
  const kind = faults.find(({ fault }) => fault.kind === "permission")?.fault.kind ?? "config";
  const lines = faults.map(
    ({ path, fault }) => `\n  ${path}: ${fault.message}${fault.hint ? `\n    ${fault.hint}` : ""}`,
  );
  const count = faults.length === 1 ? "1 secret file" : `${faults.length} secret files`;
  throw new MeshError(kind, `${count} cannot be used${lines.join("")}`, {
    hint: "do what stands under each, then: meshmac config check --secrets",
  });
}

/** Throws where a chat knows that the address in its secret file cannot work; the configuration alone cannot tell. */
function refuseUrl(config: Config, path: string, text: string): void {
  const [, name = ""] = /^chats\.([^.]+)\.url$/.exec(path) ?? [];
  const url = URL.parse(text.trim());
  const why = url && chats.find(({ kind }) => kind === config.chats[name]?.kind)?.refuseUrl?.(url);
  if (why) throw new MeshError("config", `${url.host} cannot be posted to: ${why}`);
}

/** Throws where a key that signs, or checks signatures, cannot be one: every post or delivery would be refused. */
function refuseKey(config: Config, path: string, text: string): void {
  if ((signsWebhooks(config, path) || checksWebhooks(config, path)) && standardKey(text) === null) throw notAKey();
}

function signsWebhooks({ chats: entries, pagers }: Config, path: string): boolean {
  const [, section, name = ""] = /^(chats|pagers)\.([^.]+)\.key$/.exec(path) ?? [];
  return (section === "chats" ? entries[name] : section === "pagers" ? pagers[name] : undefined)?.kind === "webhook";
}

function checksWebhooks({ sources: entries }: Config, path: string): boolean {
  const [, name = ""] = /^sources\.([^.]+)\.token$/.exec(path) ?? [];
  const entry = entries[name];
  const verify = entry && sources.find(({ kind }) => kind === entry.kind)?.verify(entry);
  // A door with two ways in may know the other's secret.
  return verify?.signature?.key === "base64" && !verify.either;
}

function faultOf(check: () => void): MeshError | null {
  try {
    check();
    return null;
  } catch (fault) {
    if (fault instanceof MeshError) return fault;
    throw fault;
  }
}
