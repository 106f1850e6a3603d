import { chmodSync } from "node:fs";
import { secretsOf } from "../config.ts";
import { MeshError } from "../core/error.ts";
import { defineCheck, type Finding } from "./check.ts";
import { hintOf, whyOf } from "./why.ts";

type Id = "secret-unsafe" | "secret-missing";

/** Checks the file of every secret that the configuration names: mode, owner, kind, parents, and that something usable is in it. */
export const secrets = defineCheck<Id>({
  name: "secrets",
  on: "any",
  faults: {
    "secret-unsafe": {
      severity: "error",
      breaks: "serve refuses to start with it: somebody else could read or replace it",
    },
    "secret-missing": { severity: "error", breaks: "what needs it does not work" },
  },
  look: async ({ config, vault }) =>
    secretsOf(config).flatMap(({ path, secret, inbound }): Finding<Id>[] => {
      try {
        vault.check(secret.name, { inbound });
        return [];
      } catch (fault) {
        const isUnsafe = fault instanceof MeshError && fault.kind === "permission";
        const fix = hintOf(fault, "write the value into the file that it names");
        const mend = isUnsafe ? mendOf(fix) : null;
        const found = { about: path, says: whyOf(fault), fix, ...(mend && { mend }) };
        return [{ id: isUnsafe ? "secret-unsafe" : "secret-missing", ...found }];
      }
    }),
});

/** What the hint says to type, where it is a plain chmod of ours: that loses nothing. */
function mendOf(fix: string) {
  const [, mode = "", file = ""] = /^chmod (0[0-7]{3}) ([\w@%+=:,./-]+)$/.exec(fix) ?? [];
  return file === "" ? null : { files: [file], apply: () => chmodSync(file, Number.parseInt(mode, 8)) };
}
