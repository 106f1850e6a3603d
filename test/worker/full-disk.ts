import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startWorker } from "../../src/worker/worker.ts";
import { MemoryStore } from "./memory-store.ts";

// A worker whose work folder is on the small disk that the first argument names, and whose script prints more than fits.
const work_dir = process.argv[2] ?? "";
const scripts_dir = mkdtempSync(join(tmpdir(), "meshmac-scripts-"));
mkdirSync(scripts_dir, { recursive: true });
writeFileSync(join(scripts_dir, "build"), "#!/bin/sh\nseq 1 600000\necho the end\n", { mode: 0o755 });
const store = new MemoryStore();
const { run_id } = store.add({ script: "build" });
const node = { id: "mac-07", labels: [], concurrency: 1, scripts_dir, work_dir, pass_env: [] };
await startWorker({ store, node, once: true, grace: 100 }).done;
rmSync(scripts_dir, { recursive: true });
process.stdout.write(`\n${JSON.stringify({ log: store.logOf(run_id), result: store.results.at(-1) })}\n`);
