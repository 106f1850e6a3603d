import { defineCommand } from "citty";
import { configArgs, jsonArgs, print } from "../args.ts";
import { forceArg, secretArg } from "./open.ts";

export default defineCommand({
  meta: { name: "commit", description: "Make the staged value the only one, once nothing speaks against it" },
  args: {
    secret: secretArg,
    quiet: {
      type: "string",
      description: "for how long the old value may not have been used; default: rotation.quiet",
      valueHint: "time",
    },
    force: forceArg,
    ...configArgs,
    ...jsonArgs,
  },
  async run({ args }) {
    const { openedFor, quietFrom, settledTestimonyOf, testimonyOf } = await import("./open.ts");
    const { commitStaged } = await import("../../src/rotation/end.ts");
    const { statusOf } = await import("../../src/rotation/status.ts");
    const { age, brokenBy } = await import("./text.ts");
    const loaded = await openedFor(args.config, args.secret);
    const { config, vault, subject } = loaded;
    const quiet = quietFrom(args.quiet, config.rotation.quiet);
    const force = args.force === true;
    const testimony = force ? await testimonyOf(loaded) : await settledTestimonyOf(loaded, quiet);
    const ended = await commitStaged({ config, vault, subject, testimony, quiet, force, now: Date.now() });
    const status = statusOf(subject, { config, testimony, now: Date.now(), quiet });
    if (args.json) return print(JSON.stringify({ changed: ended.changed, forced: ended.forced, ...status }));
    const { current, prev } = status;
    if (!ended.changed) return print(`${subject.name}: ${current?.key_id} was committed before; nothing was changed`);
    print(`${subject.name}: committed ${current?.key_id}`);
    for (const line of brokenBy(ended.forced)) print(`  ${line}`);
    if (prev)
      print(
        `  ${prev.key_id} is used no more within a second; meshmac rotate undo ${subject.name} brings it back for ${age(prev.left_ms)}`,
      );
    const left = status.steps.slice(status.steps.findLastIndex(({ done }) => done === true) + 1);
    for (const { say } of left) print(`  [ ] ${say}`);
  },
});
