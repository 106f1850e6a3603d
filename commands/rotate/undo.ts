import { defineCommand } from "citty";
import { configArgs, jsonArgs, print } from "../args.ts";
import { secretArg } from "./open.ts";

export default defineCommand({
  meta: { name: "undo", description: "Go back to before the last commit: both values work again" },
  args: { secret: secretArg, ...configArgs, ...jsonArgs },
  async run({ args }) {
    const { openedFor } = await import("./open.ts");
    const { undoCommit } = await import("../../src/rotation/end.ts");
    const { config, subject } = await openedFor(args.config, args.secret);
    const { changed, looked } = await undoCommit({ config, subject, now: Date.now() });
    const [current, staged] = [looked.current?.key_id ?? null, looked.next?.key_id ?? null];
    if (args.json) return print(JSON.stringify({ secret: subject.name, changed, current, staged }));
    const both = `${current} is current again, ${staged} is staged`;
    print(`${subject.name}: ${changed ? both : "a value is staged, so both work already; nothing was changed"}`);
    print(`  meshmac rotate abort ${subject.name} takes the staged one away, commit tries again`);
  },
});
