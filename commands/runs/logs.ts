import { defineCommand } from "citty";
import { MeshError } from "../../src/core/error.ts";
import { isOver } from "../../src/core/records.ts";
import { logStream } from "../../src/gateway/log-stream.ts";
import type { Masks } from "../../src/gateway/masked-store.ts";
import type { OperatorStore } from "../../src/stores/store.ts";
import { configArgs } from "../args.ts";
import { oneRun, runArg, withStore } from "./open.ts";

const lookAgainAfter = 300;

export default defineCommand({
  meta: { name: "logs", description: "The log of a run's last attempt" },
  args: {
    run: runArg,
    follow: { type: "boolean", alias: "f", description: "go on until the run is over" },
    attempt: { type: "string", description: "another attempt than the last", valueHint: "n" },
    ...configArgs,
  },
  async run({ args }) {
    const wanted = attemptOf(args.attempt);
    await withStore(args.config, async (store, masks) => {
      const { run } = await oneRun(store, args.run);
      if (wanted !== null && wanted > run.attempt) {
        throw new MeshError("data", `run ${run.run_id} has no attempt ${wanted}`, {
          hint: run.attempt === 0 ? "it has not begun" : `the last one is ${run.attempt}`,
        });
      }
      if (args.follow && wanted === null) return await follow(store, run.run_id, masks);
      const wish = { run_id: run.run_id, attempt: wanted ?? run.attempt, follow: args.follow === true };
      await copy(store, wish, masks);
    });
  },
});

function attemptOf(typed: string | undefined): number | null {
  if (typed === undefined) return null;
  if (/^[1-9]\d{0,8}$/.test(typed)) return Number(typed);
  throw new MeshError("usage", `--attempt expects a number from 1, got ${JSON.stringify(typed)}`);
}

interface Wish {
  run_id: string;
  attempt: number;
  follow: boolean;
}

/** Copies what there is of each attempt, from the present one on, until the run is over. */
async function follow(store: OperatorStore, run_id: string, masks: Masks): Promise<void> {
  for (let copied = 0; ;) {
    const run = (await store.show(run_id))?.run;
    if (!run) return;
    if (run.attempt > copied) await copy(store, { run_id, attempt: (copied = run.attempt), follow: true }, masks);
    else if (isOver(run.state)) return;
    else await new Promise((resolve) => setTimeout(resolve, lookAgainAfter));
  }
}

/** Copies one attempt's log to stdout as it was printed, but for our secrets, no faster than it is taken. */
async function copy(store: OperatorStore, wish: Wish, masks: Masks): Promise<void> {
  if (wish.attempt === 0) return;
  const whoever = new AbortController().signal;
  for await (const bytes of logStream(store, { ...wish, from: 0, masks, signal: whoever })) {
    if (!process.stdout.write(bytes)) await new Promise<void>((taken) => process.stdout.once("drain", () => taken()));
  }
}
