import { type Config, secretsOf } from "../src/config.ts";
import { MeshError } from "../src/core/error.ts";
import type { Vault } from "../src/secrets.ts";

/** Checks every secret file that the configuration names; throws one error that lists all that is wrong. */
export function checkSecrets(config: Config, vault: Vault): void {
  const faults = secretsOf(config).flatMap(({ secret, inbound }) => {
    try {
      vault.check(secret.name, { inbound });
      return [];
    } catch (fault) {
      if (fault instanceof MeshError) return [fault];
      throw fault;
    }
  });
  const [first] = faults;
  if (!first) return;
  if (faults.length === 1) throw first;
  const lines = faults.map(({ message, hint }) => `  ${message}${hint ? ` (${hint})` : ""}`);
  throw new MeshError(first.kind, `${faults.length} secrets cannot be used\n${lines.join("\n")}`);
}
