import { resolve } from "node:path";
import { defineCommand } from "citty";
import { checkFiles, type Loaded, loadConfig } from "../src/config.ts";
import { MeshError } from "../src/core/error.ts";
import { type Gateway, openGateway } from "../src/gateway/gateway.ts";
import { setLogLevel } from "../src/log.ts";
import { openOwned } from "../src/stores/open.ts";
import { startWorker } from "../src/worker/worker.ts";
import { configArgs, print } from "./args.ts";

import { onSignals } from "./signals.ts";
import { runDemo } from "./up/demo.ts";
import { curlLine, knocksFor } from "./up/doors.ts";
import { configOfNothing } from "./up/state.ts";

export default defineCommand({
  meta: { name: "up", description: "Run gateway, worker and store in one process, with nothing written beforehand" },
  args: {
    demo: { type: "boolean", description: "deliver a sample, show each step, end 0 when its run succeeded" },
    "state-dir": { type: "string", default: "./.meshmac", description: "where it keeps its state", valueHint: "dir" },
    ...configArgs,
  },
  async run({ args }) {
    // To somebody who watches, the announcements are the story; the log tells the rest only when something is wrong.
    if ((process.stderr.isTTY || args.demo) && !process.env.MESHMAC_LOG_LEVEL) setLogLevel("warn");
    const stateDir = resolve(args["state-dir"]);
    const loaded = args.config ? await loadConfig({ file: args.config }) : configOfNothing(stateDir);
    const { config, vault } = loaded;
    checkFiles(config, vault);
    const store = await openOwned(config);
    const gateway = await openGateway({
      config,
      vault,
      store,
      print: args.demo ? () => {} : print,
      on: ({ door, outcome, issue_key, reason }) => {
        if (!args.demo && outcome !== "queued")
          print(`${outcome} ${issue_key ?? `at ${door}`}${reason ? `: ${reason}` : ""}`);
      },
    });
    const worker = startWorker({ store: gateway.nodeStore, node: config.node });
    let told = false;
    const over = new Promise<void>((over) => {
      const end = async (how: "drain" | "stop") => {
        told = true;
        worker[how]();
        await worker.done;
        await gateway[how]();
        over();
      };
      onSignals(
        () => void end("drain"),
        () => void end("stop"),
      );
    });
    try {
      if (args.demo) {
        await runDemo({ loaded, gateway, store, print });
        if (!told) process.kill(process.pid, "SIGTERM");
      } else printDoors(loaded, gateway);
      await over;
    } finally {
      await store.close();
    }
  },
});

function printDoors({ config, vault }: Loaded, gateway: Gateway): void {
  const knocks = knocksFor(config, vault, gateway);
  const width = Math.max(...gateway.doors.map(({ url }) => url.length));
  print("meshmac is up: gateway, worker and store in one process\n");
  for (const { source, url, header } of gateway.doors)
    print(`  door    ${url.padEnd(width)}  ${source}, token in ${header}`);
  print(`  runs    ${gateway.adminUrl}/`);
  print(`  state   ${config.state_dir} (remove it to begin anew)`);
  print(`  script  ${config.node.scripts_dir}\n`);
  const [first] = knocks;
  if (!first) throw new MeshError("config", "no source is configured", { hint: "add one under sources" });
  print(`Ask for a build as ${first.source} would, from another terminal:\n\n${curlLine(first)}\n`);
  print(
    "Next: write meshmac.config.yaml with your own doors, chats and scripts (docs/getting-started.md). Ctrl-C ends this.\n",
  );
}
