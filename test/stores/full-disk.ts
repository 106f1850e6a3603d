import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqlite } from "../../src/stores/sqlite.ts";
import { heldOf, leased, queue, resultOf } from "./conformance/given.ts";

// A store whose logs are on the small disk that the first argument names, and whose database is elsewhere.
const state_dir = process.argv[2] ?? "";
const dir = mkdtempSync(join(tmpdir(), "meshmac-full-"));
const store = await openSqlite({ path: join(dir, "meshmac.db"), state_dir });
await queue(store);
const held = heldOf(await leased(store));
const line = Buffer.from("a line of a build that says a great deal\n".repeat(1600)).subarray(0, 65_536);
const answers: (number | "stale")[] = [];
for (let i = 0; i < 40; i++)
  answers.push(await store.log({ ...held, node: "mac-07", offset: i * line.length, bytes: line }));
const finished = await store.finish(resultOf(held));
const { size } = await store.readLog(held.run_id, 1, 0, 0);
const { bytes } = await store.readLog(held.run_id, 1, size - 100, 100);
const notes = store.notes();
await store.close();
rmSync(dir, { recursive: true });
process.stdout.write(`\n${JSON.stringify({ answers, finished, size, end: new TextDecoder().decode(bytes), notes })}\n`);
