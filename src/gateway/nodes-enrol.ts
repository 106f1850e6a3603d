import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { nodeId } from "../config/names.ts";
import type { Config } from "../config.ts";
import { MeshError } from "../core/error.ts";
import { isSecretName } from "../core/secret.ts";
import { createToken, writeSecret } from "../secrets.ts";
import { nodeToken } from "./nodes-tokens.ts";

/** A node that may come now. */
export interface Enrolled {
  /** The name of its token under `secrets_dir`, here and on the node. */
  token: string;
  /** One line for the node's shell, sh, bash or zsh, that writes its token and a configuration. Holds the token. */
  line: string;
}

/** Makes a token for a node and says what to type on it. Throws `later` where it has one, `config` where no node can come. */
export function enrolNode(config: Pick<Config, "pool" | "secrets_dir" | "gateway">, id: string): Enrolled {
  const { nodes } = config.gateway;
  if (!nodes) {
    throw new MeshError("config", "this gateway takes no nodes over HTTPS", {
      hint: 'set gateway.nodes: { listen: "10.0.0.5:8789", url: "https://mesh.example" }',
    });
  }
  const token = nodeToken(id);
  const named = nodeId.safeParse(id);
  if (!named.success || !isSecretName(token)) {
    throw new MeshError("usage", `${JSON.stringify(id)} cannot be a node's id`, {
      hint: named.error?.issues[0]?.message ?? "two dots in a row cannot be part of a file's name here",
    });
  }
  if (existsSync(join(config.secrets_dir, token))) {
    throw new MeshError("later", `the node ${id} has a token already (${token})`, {
      hint: `meshmac rotate start ${token} makes another; meshmac nodes remove ${id} ends this one`,
    });
  }
  const text = createToken();
  writeSecret(config.secrets_dir, token, text);
  return { token, line: lineFor({ id, pool: config.pool, url: nodes.url, token, text }) };
}

/** Takes a node's token away, the staged one too; says whether there was any. */
export function disownNode({ secrets_dir }: Pick<Config, "secrets_dir">, id: string): boolean {
  if (!isSecretName(nodeToken(id))) return false;
  const path = join(secrets_dir, nodeToken(id));
  const had = existsSync(path);
  rmSync(path, { force: true });
  // What a rotation has left beside it, too.
  for (const end of ["next", "prev", "rotation"]) rmSync(`${path}.${end}`, { force: true });
  return had;
}

interface Facts {
  id: string;
  pool: string;
  url: string;
  token: string;
  text: string;
}

// No comment, exclamation mark or glob: zsh reads those otherwise when they are typed. `printf` is the shell's own, so no
// process list shows the token. A configuration that is there stays.
const lineFor = ({ id, pool, url, token, text }: Facts): string => {
  // In quotes: to YAML a bare 007 is a number.
  const lines = [`pool: "${pool}"`, "node:", `  id: "${id}"`, `  connect: "${url}"`, `  token: "${token}"`];
  const keep = `echo "$d/meshmac.config.yaml is there already: set node.connect to ${url} and node.token to ${token} in it" >&2`;
  return [
    `(umask 077; d="$HOME/.config/meshmac"; t="$d/secrets.d/${token}"`,
    `mkdir -p "$d/secrets.d/nodes" "$d/scripts" && rm -f "$t" && printf '%s\\n' ${text} >"$t" && if [ -e "$d/meshmac.config.yaml" ]`,
    `then ${keep}`,
    `else printf '%s\\n' ${lines.map((one) => `'${one}'`).join(" ")} >"$d/meshmac.config.yaml"`,
    "fi)",
  ].join("; ");
};
