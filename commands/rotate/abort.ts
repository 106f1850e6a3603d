import { defineCommand } from "citty";
import { configArgs, jsonArgs, print } from "../args.ts";
import { forceArg, secretArg } from "./open.ts";

export default defineCommand({
  meta: { name: "abort", description: "Take the staged value away again" },
  args: { secret: secretArg, force: forceArg, ...configArgs, ...jsonArgs },
  async run({ args }) {
    const { openedFor, testimonyOf } = await import("./open.ts");
    const { abortStaged } = await import("../../src/rotation/end.ts");
    const loaded = await openedFor(args.config, args.secret);
    const { config, vault, subject } = loaded;
    const { quiet } = config.rotation;
    const testimony = await testimonyOf(loaded);
    const ending = { config, vault, subject, testimony, quiet, force: args.force === true, now: Date.now() };
    const { changed, looked } = await abortStaged(ending);
    const key_id = looked.current?.key_id ?? null;
    if (args.json) return print(JSON.stringify({ secret: subject.name, changed, key_id }));
    print(
      changed ? `${subject.name}: the staged value is gone, ${key_id} stays` : `${subject.name}: nothing is staged`,
    );
  },
});
