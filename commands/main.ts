import { writeSync } from "node:fs";
import type { ArgsDef, CommandDef } from "citty";
import { version } from "../src/version.ts";

// Nothing else is imported before it is needed, so that `--version` costs a start and no more.

// Bun reads these whenever it starts, compiled or not: what we start must not inherit a preload or another main.
delete process.env.BUN_OPTIONS;
delete process.env.BUN_BE_BUN;

// What runs on goes on when nobody reads its words any more.
const servants = new Set(["serve", "up", "work"]);

/** Streams that failed. Bun 1.4.5 spins for ever in the `end` of one that a full disk has broken. */
const broken = new Set<NodeJS.WriteStream>();

/** The status of the first failure: a command that went well has not, where nobody could write its answer down. */
let failed = 0;

const typed = process.argv.slice(2);
if (typed[0] === "--version" && typed.length === 1) await sayVersion();
else await main();

async function main(): Promise<void> {
  const { report, run } = await import("./cli.ts");
  const fail = (fault: unknown): void => void report(fault, err).then(end);
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);
  process.stdout.on("error", (fault) => {
    broken.add(process.stdout);
    if (!isGone(fault)) return fail(fault);
    if (!servants.has(typed[0] ?? "")) process.exit(0);
  });
  process.stderr.on("error", () => broken.add(process.stderr)); // nobody is left to tell

  const colour = process.stdout.isTTY && !process.env.NO_COLOR;
  await end(await run(await commands(), typed, { out, err, colour }));
}

function out(text: string): void {
  process.stdout.write(text);
}

function err(text: string): void {
  process.stderr.write(text);
}

/** Ends the process once everything said has been taken; on a pipe only the end of a stream waits for its reader. */
async function end(status: number): Promise<never> {
  failed ||= status;
  const { flushLog } = await import("../src/log.ts");
  flushLog();
  // What was written to a file fails a turn later: only then is it known which streams can be ended.
  await new Promise((resolve) => setTimeout(resolve));
  const working = [process.stdout, process.stderr].filter((stream) => !broken.has(stream));
  await Promise.all(working.map((stream) => new Promise<void>((done) => stream.end(done))));
  process.exit(failed);
}

async function sayVersion(): Promise<void> {
  try {
    writeSync(1, `meshmac ${version}\n`);
  } catch (fault) {
    if (isGone(fault)) process.exit(0);
    const { report } = await import("./cli.ts");
    process.exit(await report(fault, err));
  }
}

/** Whoever reads us may stop reading: `meshmac runs list | head -1` is no error. */
function isGone(fault: unknown): boolean {
  return fault instanceof Error && "code" in fault && fault.code === "EPIPE";
}

async function commands(): Promise<CommandDef<ArgsDef>> {
  const { defineCommand } = await import("citty");
  return defineCommand({
    meta: { name: "meshmac", version, description: "An issue moves, a Mac builds it, the team hears" },
    subCommands: {
      init: () => import("./init.ts").then((command) => command.default),
      up: () => import("./up.ts").then((command) => command.default),
      serve: () => import("./serve.ts").then((command) => command.default),
      work: () => import("./work.ts").then((command) => command.default),
      notify: () => import("./notify.ts").then((command) => command.default),
      rotate: () => import("./rotate.ts").then((command) => command.default),
      runs: () => import("./runs.ts").then((command) => command.default),
      nodes: () => import("./nodes.ts").then((command) => command.default),
      probe: () => import("./probe.ts").then((command) => command.default),
      explain: () => import("./explain.ts").then((command) => command.default),
      doctor: () => import("./doctor.ts").then((command) => command.default),
      lanes: () => import("./lanes.ts").then((command) => command.default),
      service: () => import("./service.ts").then((command) => command.default),
      reconcile: () => import("./reconcile.ts").then((command) => command.default),
      config: () => import("./config.ts").then((command) => command.default),
      completions: () => import("./completions.ts").then(({ completionsOf }) => completionsOf(commands)),
    },
  });
}
