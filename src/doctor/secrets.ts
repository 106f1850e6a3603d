import { chmodSync } from "node:fs";
import { join } from "node:path";
import { type NamedSecret, secretsOf } from "../config.ts";
import { MeshError } from "../core/error.ts";
import { defineCheck, type Finding, type Scene } from "./check.ts";
import { wideGroup } from "./groups.ts";
import { type ValueId, wrongValue } from "./values.ts";
import { hintOf, whyOf } from "./why.ts";

type Id = "secret-unsafe" | "secret-missing" | "secret-group-wide" | ValueId;

/** Checks the file of every secret that the configuration names: mode, owner, kind, parents, group, and that something usable is in it. */
export const secrets = defineCheck<Id>({
  name: "secrets",
  on: "any",
  faults: {
    "secret-unsafe": {
      severity: "error",
      breaks: "serve refuses to start with it: somebody else could read or replace it",
    },
    "secret-missing": { severity: "error", breaks: "what needs it does not work" },
    "secret-group-wide": { severity: "warning", breaks: "people who need not know this secret can read it" },
    "token-padded": { severity: "error", breaks: "it equals no value that the other side has" },
    "token-literal-secret": {
      severity: "error",
      breaks: "what needs it does not work, or opens to anybody who guesses",
    },
  },
  async look(scene) {
    const named = Map.groupBy(secretsOf(scene.config), ({ secret }) => secret.name);
    return [...named.values()].flatMap((uses) => asOne(uses).flatMap((one) => faultOf(one, scene)));
  },
});

/** One file that several entries name is one thing; that it opens a door weighs most. */
function asOne(uses: NamedSecret[]): NamedSecret[] {
  const [first] = uses.toSorted((one, other) => Number(other.inbound) - Number(one.inbound));
  return first ? [{ ...first, path: uses.map(({ path }) => path).join(", ") }] : [];
}

function faultOf(named: NamedSecret, scene: Scene): Finding<Id>[] {
  const { path, secret, inbound } = named;
  try {
    scene.vault.check(secret.name, { inbound });
  } catch (fault) {
    const isUnsafe = fault instanceof MeshError && fault.kind === "permission";
    const wrong = isUnsafe ? null : wrongValue(named, scene);
    if (wrong) return [wrong];
    const fix = hintOf(fault, "write the value into the file that it names");
    const mend = isUnsafe ? mendOf(fix) : null;
    const found = { about: path, says: whyOf(fault), fix, ...(mend && { mend }) };
    return [{ id: isUnsafe ? "secret-unsafe" : "secret-missing", ...found }];
  }
  const wrong = wrongValue(named, scene);
  const wide = tooWide(named, scene);
  return [...(wrong ? [wrong] : []), ...(wide ? [wide] : [])];
}

/** What the hint says to type, where it is a plain chmod of ours: that loses nothing. */
function mendOf(fix: string) {
  const [, mode = "", file = ""] = /^chmod (0[0-7]{3}) ([\w@%+=:,./-]+)$/.exec(fix) ?? [];
  return file === "" ? null : { files: [file], apply: () => chmodSync(file, Number.parseInt(mode, 8)) };
}

function tooWide({ path, secret }: NamedSecret, { config, etc }: Scene): Finding<Id> | null {
  const file = join(config.secrets_dir, secret.name);
  const who = wideGroup(file, etc);
  if (who === null) return null;
  return {
    id: "secret-group-wide",
    about: path,
    says: `${secret.name} is readable by its group ${who}`,
    fix: `give it to a group of the gateway alone: sudo chgrp meshmac ${file}, or: chmod g-r ${file}`,
  };
}
