import { defineCommand } from "citty";
import { examineConfig, refused, secretsOf } from "../../src/config.ts";
import { shown } from "../../src/config/shown.ts";
import { maskPatterns } from "../../src/core/redact.ts";
import type { Vault } from "../../src/secrets.ts";
import { configArgs, jsonArgs, print } from "../args.ts";
import { plain } from "../runs/text.ts";

export default defineCommand({
  meta: { name: "show", description: "Print every value in force and where it came from; of a secret only its key id" },
  args: { ...configArgs, ...jsonArgs },
  async run({ args }) {
    const { name, problems, loaded, parts } = await examineConfig({ file: args.config });
    if (!loaded) throw refused(name, problems);
    const { config, vault } = loaded;
    const keyIds = new Map(secretsOf(config).map(({ path, secret }) => [path, keyIdOf(vault, secret.name)]));
    const values = shown(parts.said, process.env.MESH_NODE_ID).map(({ path, value, from }) => {
      const secret = keyIds.get(path);
      return { path, value: masked(value), from, ...(secret !== undefined && { secret }) };
    });
    if (args.json) return print(JSON.stringify({ file: parts.file, values }));
    const lines = values.map(({ path, value, from, secret }) => {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      return `${path} = ${plain(text)}${secret === undefined ? "" : `  <${secret}>`}${from === "file" ? "" : `  (${from})`}`;
    });
    print([`# ${parts.file}`, ...lines].join("\n"));
  },
});

function keyIdOf(vault: Vault, secret: string): string {
  try {
    return `key id ${vault.keyId(secret)}`;
  } catch {
    return "not readable";
  }
}

/** A URL that somebody wrote with a password in it, or a token in the wrong place, is not shown. */
function masked(value: unknown): unknown {
  if (typeof value === "string") return maskPatterns(value).replace(/(?<=:\/\/[^/\s:@]*:)[^/\s@]+(?=@)/g, "***");
  if (Array.isArray(value)) return value.map(masked);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, masked(inner)]));
}
