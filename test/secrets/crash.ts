import { abort, commit, type Shelf, stage, undo } from "../../src/secrets/shelf.ts";

// A process that is killed just before its n-th file operation: `bun crash.ts <n> <operation> <now> <shelf as JSON> <value as JSON>`.

const [n = "", operation, now = "", shelf = "", texts = ""] = process.argv.slice(2);
const files = JSON.parse(shelf) as Shelf;
let made = 0;
const step = (): void => {
  if (++made === Number(n)) process.kill(process.pid, "SIGKILL");
};
const at = Number(now);
if (operation === "start") stage(files, JSON.parse(texts) as string[], { at, reason: "planned" }, step);
else if (operation === "commit") commit(files, at, step);
else if (operation === "undo") undo(files, at, step);
else abort(files, at, step);
