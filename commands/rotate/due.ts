import { defineCommand } from "citty";
import { configArgs, jsonArgs, print } from "../args.ts";

export default defineCommand({
  meta: { name: "due", description: "What must be rotated or finished; ends with 1 when something is overdue" },
  args: { ...configArgs, ...jsonArgs },
  async run({ args }) {
    const { opened } = await import("./open.ts");
    const { MeshError } = await import("../../src/core/error.ts");
    const { dueIn, isPressing } = await import("../../src/rotation/due.ts");
    const { statusOf } = await import("../../src/rotation/status.ts");
    const { subjectsOf } = await import("../../src/rotation/subjects.ts");
    const { age } = await import("./text.ts");
    const { table } = await import("../runs/text.ts");
    const { config } = await opened(args.config);
    const now = Date.now();
    const due = dueIn(subjectsOf(config).map((subject) => statusOf(subject, { config, testimony: null, now })));
    if (args.json) print(JSON.stringify({ due }));
    else if (due.length === 0) print("nothing is due");
    else {
      const rows = due.map(({ secret, owner, why, age_ms, every_ms }) => [
        secret,
        why.join(", "),
        age_ms === null ? "" : age(age_ms),
        age(every_ms),
        owner ?? "",
      ]);
      print(table(["SECRET", "WHY", "AGE", "EVERY", "OWNER"], rows));
    }
    const pressing = due.filter(isPressing);
    if (pressing.length > 0) {
      throw new MeshError("differs", `overdue: ${pressing.map(({ secret }) => secret).join(", ")}`, {
        hint: "meshmac rotate status shows the next step of each",
      });
    }
  },
});
