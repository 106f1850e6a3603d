import { basename } from "node:path";
import type { NamedSecret } from "../config.ts";
import { openVault } from "../secrets.ts";
import type { Finding, Scene } from "./check.ts";

export type ValueId = "token-padded" | "token-literal-secret";

/** Says what is wrong with a secret's text itself, whatever it opens; null where nothing is, or it cannot be read. Shows none of it. */
export function wrongValue({ path, secret, inbound }: NamedSecret, { config }: Scene): Finding<ValueId> | null {
  const text = textOf(secret.name, config.secrets_dir);
  if (text === null) return null;
  const bare = text.trim();
  if (isPlaceholder(bare, secret.name)) {
    return {
      id: "token-literal-secret",
      about: path,
      says: `${secret.name} holds a placeholder in place of a value`,
      fix: inbound
        ? `write a real one into ${secret.name}: openssl rand -hex 32, and paste it into the sender's settings`
        : `write the value that the other side gave you into ${secret.name}`,
    };
  }
  // What goes out by HTTP is sent without what stands around it; only these are compared or sent as they are.
  if (bare === text || !(inbound || path.includes("store_password"))) return null;
  return {
    id: "token-padded",
    about: path,
    says: `${secret.name} holds ${paddingOf(text)} around the value`,
    fix: `write ${secret.name} anew: the value alone on one line, as in: printf '%s\\n' VALUE`,
  };
}

/** Read apart from the scene's vault: there, a door's token that is too weak cannot be read at all. */
function textOf(name: string, dir: string): string | null {
  try {
    return openVault(dir).read(name);
  } catch {
    return null;
  }
}

function paddingOf(text: string): string {
  const around = text.replace(text.trim(), "");
  if (around.includes("\uFEFF")) return "a byte order mark";
  if (around.includes("\r")) return "a carriage return";
  return around.includes("\n") ? "an empty line" : "spaces";
}

const words =
  /^(secret|token|password|passwd|changeme|change[-_ ]me|replace[-_ ]?me|example|test|todo|tbd|none|null|undefined|x{3,}|\*{3,}|•{3,}|\.{3,}|<[^<>]*>|\$\{?\w+\}?|your[-_ ].*)$/i;

/** Also the mask that YouTrack hands out, "secret", and a file that holds its own name. */
function isPlaceholder(text: string, name: string): boolean {
  const file = basename(name);
  return words.test(text) || [name, file, file.replace(/\.\w+$/, "")].includes(text);
}
