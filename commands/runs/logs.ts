import { defineCommand } from "citty";
import { isOver } from "../../src/core/records.ts";
import type { OperatorStore } from "../../src/stores/store.ts";
import { configArgs } from "../args.ts";
import { oneRun, runArg, withStore } from "./open.ts";

const pageSize = 256 * 1024;
const lookAgainAfter = 500;

export default defineCommand({
  meta: { name: "logs", description: "The log of a run's last attempt" },
  args: {
    run: runArg,
    follow: { type: "boolean", alias: "f", description: "go on until the run is over" },
    attempt: { type: "string", description: "another attempt than the last", valueHint: "n" },
    ...configArgs,
  },
  async run({ args }) {
    await withStore(args.config, async (store) => {
      const { run } = await oneRun(store, args.run);
      await copyLog(store, run.run_id, args.attempt === undefined ? null : Number(args.attempt), args.follow === true);
    });
  },
});

/** Copies a log to stdout, byte by byte as stored; while following, goes on with the next attempt when there is one. */
async function copyLog(store: OperatorStore, run_id: string, only: number | null, follow: boolean): Promise<void> {
  let from = 0;
  let attempt = only ?? 0;
  for (;;) {
    const shown = await store.show(run_id);
    if (!shown) return;
    if (only === null && shown.run.attempt !== attempt) [attempt, from] = [shown.run.attempt, 0];
    const over = isOver(shown.run.state);
    for (;;) {
      const slice = await store.readLog(run_id, attempt, from, pageSize);
      if (slice.bytes.length === 0) break;
      process.stdout.write(slice.bytes);
      from = slice.next;
    }
    if (over || !follow) return;
    await new Promise((resolve) => setTimeout(resolve, lookAgainAfter));
  }
}
