import { defineCommand } from "citty";
import { loadConfig } from "../src/config.ts";
import { MeshError } from "../src/core/error.ts";
import { openForNode } from "../src/stores/open.ts";
import { startWorker } from "../src/worker/worker.ts";
import { configArgs } from "./args.ts";
import { onSignals } from "./signals.ts";

export default defineCommand({
  meta: { name: "work", description: "Run builds on this machine" },
  args: { ...configArgs, once: { type: "boolean", description: "run one waiting build, then end" } },
  async run({ args }) {
    const { config, vault } = await loadConfig({ file: args.config });
    const store = await openForNode(config);
    const worker = startWorker({ store, node: config.node, once: args.once === true, masked: vault.values });
    onSignals(
      () => worker.drain(),
      () => worker.stop(),
    );
    const ended = await worker.done;
    await store.close();
    if (ended === "nothing")
      throw new MeshError("later", "no build was waiting", {
        hint: "meshmac runs list --state queued shows what waits for other labels, scripts or a paused lane",
      });
  },
});
