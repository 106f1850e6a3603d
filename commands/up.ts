import { resolve } from "node:path";
import { defineCommand } from "citty";
import { openArchive } from "../src/archive.ts";
import { checkFiles, type Loaded, loadConfig } from "../src/config.ts";
import { MeshError } from "../src/core/error.ts";
import { type Gateway, openGateway } from "../src/gateway/gateway.ts";
import { setLogLevel } from "../src/log.ts";
import { openOwned } from "../src/stores/open.ts";
import { startWorker } from "../src/worker/worker.ts";
import { configArgs, print } from "./args.ts";

import { onSignals } from "./signals.ts";
import { runDemo } from "./up/demo.ts";
import { curlLine, freshNumber, knocksFor } from "./up/doors.ts";
import { configOfNothing, usualStateDir } from "./up/state.ts";

export default defineCommand({
  meta: { name: "up", description: "Run gateway, worker and store in one process, with nothing written beforehand" },
  args: {
    demo: { type: "boolean", description: "deliver a sample, show each step, end 0 when its run succeeded" },
    "state-dir": {
      type: "string",
      description: `where it keeps its state (${usualStateDir}); not with --config, which says so itself`,
      valueHint: "dir",
    },
    ...configArgs,
  },
  async run({ args }) {
    // To somebody who watches, the announcements are the story; the log tells the rest only when something is wrong.
    if ((process.stderr.isTTY || args.demo) && !process.env.MESHMAC_LOG_LEVEL) setLogLevel("warn");
    const loaded = args.config === undefined ? configOfNothing(stateDirOf(args)) : await configured(args);
    const { config, vault } = loaded;
    checkFiles(config, vault);
    const archive = await openArchive(config.logs.archive);
    const store = await openOwned({ ...config, archive });
    const gateway = await openGateway({
      ...loaded,
      store,
      archive,
      worker: true,
      print: args.demo ? () => {} : print,
      on: ({ door, outcome, issue_key, reason }) => {
        if (!args.demo && outcome !== "queued")
          print(`${outcome} ${issue_key ?? `at ${door}`}${reason ? `: ${reason}` : ""}`);
      },
    });
    const worker = startWorker({ store: gateway.nodeStore, node: config.node });
    let told = false;
    const over = new Promise<void>((ended) => {
      const end = async (how: "drain" | "stop") => {
        told = true;
        worker[how]();
        await worker.done;
        await gateway[how]();
        ended();
      };
      onSignals(
        () => void end("drain"),
        () => void end("stop"),
        ...(loaded.file === null ? [] : [() => gateway.reload()]),
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

interface Places {
  config?: string | undefined;
  "state-dir"?: string | undefined;
}

function stateDirOf({ "state-dir": dir = usualStateDir }: Places): string {
  // An empty word would mean the folder we are in, and fill it with our files.
  if (dir === "") throw new MeshError("usage", "--state-dir needs a value");
  return resolve(dir);
}

async function configured({ config, "state-dir": dir }: Places): Promise<Loaded> {
  if (dir === undefined) return await loadConfig({ file: config });
  throw new MeshError("usage", "--config and --state-dir together", { hint: "set state_dir in the configuration" });
}

function printDoors({ config, vault, file }: Loaded, gateway: Gateway): void {
  // A line that was sent before would be a duplicate and build nothing.
  const knocks = knocksFor(config, vault, gateway, freshNumber(Date.now()));
  const width = Math.max(...gateway.doors.map(({ url }) => url.length));
  print("meshmac is up: gateway, worker and store in one process\n");
  for (const { source, url, header, proof } of gateway.doors)
    print(`  door    ${url.padEnd(width)}  ${source}, ${proof} in ${header}`);
  print(`  runs    ${gateway.adminUrl}/`);
  print(`  state   ${config.state_dir}${file === null ? " (remove it to begin anew)" : ""}`);
  print(`  script  ${config.node.scripts_dir}\n`);
  const [first] = knocks;
  if (!first) throw new MeshError("config", "no source is configured", { hint: "add one under sources" });
  print(`Ask for a build as ${first.source} would, from another terminal:\n\n${curlLine(first)}\n`);
  const next =
    file === null
      ? "write meshmac.config.yaml with your own doors, chats and scripts"
      : "meshmac serve and meshmac work";
  print(`Next: ${next} (docs/getting-started.md). Ctrl-C ends this.\n`);
}
