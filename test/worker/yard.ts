import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Task } from "../../src/core/records.ts";
import type { WorkerEvent } from "../../src/worker/house.ts";
import { startWorker, type Worker, type WorkerOptions } from "../../src/worker/worker.ts";
import { MemoryStore } from "./memory-store.ts";

/** A folder with scripts, a store in memory, and workers that a test starts; all gone when the test ends. */
export class Yard {
  readonly dir = mkdtempSync(join(tmpdir(), "meshmac-worker-"));
  readonly store = new MemoryStore();
  readonly events: WorkerEvent[] = [];
  readonly workers: Worker[] = [];
  readonly node = {
    id: "mac-07",
    labels: ["xcode-16"],
    concurrency: 1,
    scripts_dir: join(this.dir, "scripts"),
    work_dir: join(this.dir, "work"),
    pass_env: [] as string[],
  };

  constructor() {
    mkdirSync(this.node.scripts_dir);
  }

  script(name: string, body: string): void {
    const path = join(this.node.scripts_dir, name);
    writeFileSync(path, `#!/bin/sh\n${body}\n`);
    chmodSync(path, 0o755);
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  read(name: string): string {
    return existsSync(this.path(name)) ? readFileSync(this.path(name), "utf8") : "";
  }

  start(options: Partial<WorkerOptions> = {}): Worker {
    const on = (event: WorkerEvent) => void this.events.push(event);
    const worker = startWorker({ store: this.store, node: this.node, on, chance: () => 0, ...options });
    worker.done.catch(() => undefined);
    this.workers.push(worker);
    return worker;
  }

  /** Runs one script to its end and returns what the store was told. */
  async run(body: string, task: Partial<Task> = {}, options: Partial<WorkerOptions> = {}) {
    this.script("build", body);
    const { run_id } = this.store.add({ script: "build", ...task });
    expectRan(await this.start({ once: true, ...options }).done);
    const result = this.store.results.find((said) => said.run_id === run_id);
    return { run_id, result, log: this.store.logOf(run_id) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.store.cut = false;
    for (const worker of this.workers) worker.stop();
    await Promise.allSettled(this.workers.map(({ done }) => done));
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function expectRan(ended: string): void {
  if (ended !== "ran") throw new Error(`the worker found ${ended}`);
}

/** Waits until a condition holds; fails after 25 seconds. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 25_000; !holds(); await Bun.sleep(5)) {
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch (cause) {
    // Without /proc a signal that arrives is all there is to know.
    return cause instanceof Error && "path" in cause && process.platform !== "linux";
  }
}
