import { join } from "node:path";
import { defineCommand } from "citty";
import { MeshError } from "../src/core/error.ts";
import { nearest } from "../src/core/nearest.ts";
import { catalogue, examine, type Examination, type Selection } from "../src/doctor/doctor.ts";
import { configuration } from "../src/doctor/configuration.ts";
import { mend, type Mended } from "../src/doctor/mend.ts";
import { openScene } from "../src/doctor/scene.ts";
import { version } from "../src/version.ts";
import { configArgs, jsonArgs, print } from "./args.ts";
import { describe } from "./doctor/text.ts";

/** Of `--json`; it rises when a field changes its meaning or goes. */
const schema = 1;

export default defineCommand({
  meta: {
    name: "doctor",
    description: "Say what is wrong, what it breaks and how to mend it",
  },
  args: {
    fix: { type: "boolean", description: "mend what is safe to mend; what it changes is kept under state_dir first" },
    only: { type: "string", description: "only these findings", valueHint: "id,id" },
    skip: { type: "string", description: "all but these", valueHint: "id,id" },
    ...configArgs,
    ...jsonArgs,
  },
  async run({ args }) {
    const selection = {
      ...(args.only !== undefined && { only: idsIn(args.only) }),
      ...(args.skip !== undefined && { skip: idsIn(args.skip) }),
    };
    const { scene, blind, close } = await openScene(args.config);
    try {
      const look = (): Promise<Examination> => examine(scene, blind ? blindly(selection) : selection);
      let found = await look();
      let mended: Mended[] = [];
      if (args.fix) {
        mended = await mend(found.findings, join(scene.config.state_dir, "doctor", `${scene.now()}`));
        found = await look();
      }
      if (args.json) print(JSON.stringify({ schema, version, ...bare(found), ...(args.fix && { mended }) }));
      else print(describe(found, mended));
      // A finding is an answer; what could not be looked at is none.
      return found.findings.length > 0 ? 1 : found.unchecked.length > 0 ? 2 : 0;
    } finally {
      await close();
    }
  },
});

const blindly = (selection: Selection): Selection => ({ ...selection, from: [configuration] });

const bare = ({ findings, ...rest }: Examination) => ({
  findings: findings.map(({ mend: change, ...finding }) => ({ ...finding, mendable: change !== undefined })),
  ...rest,
});

function idsIn(text: string): string[] {
  const ids = text.split(",").map((id) => id.trim());
  const unknown = ids.filter((id) => !Object.hasOwn(catalogue, id));
  if (unknown.length === 0) return ids;
  const meant = unknown.map((id) => nearest(id, Object.keys(catalogue))).filter((id) => id !== undefined);
  throw new MeshError("usage", `no finding has the id ${unknown.map((id) => JSON.stringify(id)).join(", ")}`, {
    hint: meant.length === 0 ? "docs/doctor.md lists every id" : `did you mean ${meant.join(", ")}?`,
  });
}
