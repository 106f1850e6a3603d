import { openSqlite } from "../../../src/stores/sqlite.ts";
import { seenAt, taskOf } from "../conformance/given.ts";

// A process that owns a store: `bun owner.ts <folder> idle | write`. It says "open", then every run it was promised.

const [folder = "", what] = process.argv.slice(2);
const store = await openSqlite({ path: `${folder}/meshmac.db`, state_dir: folder });
process.stdout.write("open\n");

async function keepWriting(): Promise<never> {
  for (;;) {
    const task = taskOf();
    const answer = await store.accept({
      task,
      marks: [{ key: `d/jira/${task.run_id}`, window_ms: 1000 }],
      seen_at: seenAt,
    });
    if (answer.status === "queued") process.stdout.write(`${answer.run_id}\n`);
  }
}

if (what === "write") await Promise.all(Array.from({ length: 32 }, keepWriting));
else setInterval(() => {}, 60_000);
