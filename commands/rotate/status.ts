import { defineCommand } from "citty";
import { configArgs, jsonArgs, print } from "../args.ts";

export default defineCommand({
  meta: { name: "status", description: "Which values there are, who uses which, and what is left to do" },
  args: {
    secret: { type: "positional", required: false, description: "only this one, with its steps", valueHint: "secret" },
    quiet: {
      type: "string",
      description: "for how long the old value may not have been used; default: rotation.quiet",
      valueHint: "time",
    },
    ...configArgs,
    ...jsonArgs,
  },
  async run({ args }) {
    const { opened, quietFrom, testimonyOf } = await import("./open.ts");
    const { subjectNamed, subjectsOf } = await import("../../src/rotation/subjects.ts");
    const { statusOf } = await import("../../src/rotation/status.ts");
    const { age, described, standing } = await import("./text.ts");
    const { table } = await import("../runs/text.ts");
    const loaded = await opened(args.config);
    const { config } = loaded;
    const subjects = args.secret ? [subjectNamed(config, args.secret)] : subjectsOf(config);
    const quiet = quietFrom(args.quiet, config.rotation.quiet);
    const [only] = subjects.length === 1 ? subjects : [];
    const testimony = await testimonyOf({ ...loaded, ...(only && { subject: only }) });
    const all = subjects.map((subject) => statusOf(subject, { config, testimony, now: Date.now(), quiet }));
    if (args.json) return print(JSON.stringify({ secrets: all }));
    if (args.secret) return print(all.flatMap(described).join("\n"));
    if (all.length === 0) return print("the configuration names no secret");
    const rows = all.map((status) => [
      status.secret,
      standing(status),
      status.current?.key_id ?? "",
      status.current ? age(status.current.age_ms) : "",
      status.next?.key_id ?? "",
      status.owner ?? "",
      status.next_step ?? "",
    ]);
    print(table(["SECRET", "STANDS", "CURRENT", "AGE", "STAGED", "OWNER", "NEXT STEP"], rows));
  },
});
