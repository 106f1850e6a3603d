import { join } from "node:path";
import { startRedis } from "../test/fakes/redis-server.ts";
import { deliver, Household, jiraBody } from "../test/house/household.ts";
import { machine, median, percentile } from "./machine.ts";

// How long from the webhook's first byte to the script's first line, beside the floor: spawning the same script and no more.

const rounds = Number(process.argv[2] ?? 200);

/** Lines that scripts write into a named pipe: `echo` is built into sh, so the first line costs no process of its own. */
class Pipe {
  readonly path: string;
  readonly #reader: Bun.Subprocess<"ignore", "pipe", "inherit">;
  readonly #waiting: (() => void)[] = [];

  constructor(dir: string) {
    this.path = join(dir, "first-line");
    Bun.spawnSync(["mkfifo", this.path]);
    // Opened for writing too, so that it does not end with its first writer.
    this.#reader = Bun.spawn(["sh", "-c", 'exec cat <>"$0"', this.path], { stdin: "ignore", stdout: "pipe" });
    void this.#read();
  }

  async #read(): Promise<void> {
    for await (const data of this.#reader.stdout) {
      for (const _ of new TextDecoder().decode(data).trim().split("\n")) this.#waiting.shift()?.();
    }
  }

  next(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  close(): void {
    this.#reader.kill();
  }
}

async function measure(store: string | undefined, together: boolean): Promise<{ took: number[]; floor: number[] }> {
  const house = new Household({
    ...(store && { store }),
    config: { gateway: { listen: "127.0.0.1:0", admin: { listen: "127.0.0.1:0" } } },
  });
  const pipe = new Pipe(house.dir);
  house.write("scripts/build-ios.sh", `#!/bin/sh\necho x > ${pipe.path}\n`, 0o755);
  let url: string;
  if (together) {
    const both = house.start(["up"]);
    url = String((await both.said("gateway listening")).public_url);
    await both.said("worker started");
  } else {
    url = (await house.serve()).url;
    await house.work();
  }
  const took: number[] = [];
  const floor: number[] = [];
  for (let i = 0; i < rounds; i++) {
    let line = pipe.next();
    let start = performance.now();
    await deliver(url, "jira", jiraBody(`MOB-${i}`));
    await line;
    took.push(performance.now() - start);
    await new Promise((resolve) => setTimeout(resolve, 15));

    line = pipe.next();
    start = performance.now();
    const child = Bun.spawn([join(house.dir, "scripts/build-ios.sh")], {
      env: {},
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    await line;
    floor.push(performance.now() - start);
    await child.exited;
  }
  pipe.close();
  await house.close();
  return { took, floor };
}

console.log(machine());
console.log(`webhook → script's first line, ${rounds} rounds each, ms`);
console.log("store                          p50     p99   floor p50 (spawn alone)   p50 − floor");
const redis = await startRedis({ appendonly: "yes" });
const cases: [string, string | undefined, boolean][] = [
  ["sqlite, one process (up)", undefined, true],
  ["sqlite, work over the socket", undefined, false],
  ["redis, serve and work", `redis://127.0.0.1:${redis.port}/0`, false],
];
for (const [name, store, together] of cases) {
  const { took, floor } = await measure(store, together);
  const cells = [median(took), percentile(took, 99), median(floor), median(took) - median(floor)].map((ms) =>
    ms.toFixed(2),
  );
  console.log(
    `${name.padEnd(28)} ${cells[0]?.padStart(6)}  ${cells[1]?.padStart(6)}  ${cells[2]?.padStart(10)}  ${cells[3]?.padStart(22)}`,
  );
}
await redis.stop();
