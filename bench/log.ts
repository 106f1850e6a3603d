import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { startRedis } from "../test/fakes/redis-server.ts";
import { deliver, eventually, Household, jiraBody, type Process } from "../test/house/household.ts";
import { machine, median } from "./machine.ts";

// What a long log costs: bun bench/log.ts [MB] [rounds]. The same script with its output into a file (the floor) and as a
// run of the compiled binary, in turns. `script` is what it took by its own clock, `run` until its result was stored, log included.

const megabytes = Number(process.argv[2] ?? 1000);
const rounds = Number(process.argv[3] ?? 3);

const line =
  "CompileSwift normal arm64 /Users/build/acme/App/Sources/Login/LoginView.swift (in target AppUI from project Acme)";
const bytes = megabytes * 1_000_000;
const programs: Record<string, string> = {
  "one line again and again": `yes '${line}' | head -c ${bytes}`,
  "lines that an awk makes": `awk 'BEGIN { for (i = 0; i < ${Math.round(bytes / 125)}; i++) printf "[%9d] ${line}\\n", i }'`,
};

const peak = (pid: number): number =>
  Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;

type Gateway = Awaited<ReturnType<Household["serve"]>>;

let pools = 0;

interface Times {
  script: number[];
  run: number[];
  floor: number[];
}

async function once({ url, admin }: Gateway, key: string): Promise<number> {
  const start = performance.now();
  const { run_id = "" } = (await deliver(url, "jira", jiraBody(key))).body;
  await eventually("the run is over", async () => {
    const answer = await fetch(`${admin}/api/v1/runs/${run_id}`);
    const said: unknown = await answer.json();
    return typeof said === "object" && said !== null && "ended_at" in said && said.ended_at !== null;
  });
  return (performance.now() - start) / 1000;
}

/** Seconds that the script took by its own clock, the last time it ran. */
function took(house: Household): number {
  const [begin = 0, end = 0] = readFileSync(join(house.dir, "times"), "utf8").trim().split(" ").map(Number);
  return (end - begin) / 1e9;
}

async function measure(store: string | undefined, limit: string, program: string): Promise<void> {
  await using house = new Household({ ...(store && { store }), config: { pool: `bench-${++pools}`, logs: { limit } } });
  const body = (what: string) =>
    `#!/bin/sh\nbegin=$(date +%s%N)\n${what}\necho "$begin $(date +%s%N)" > ${join(house.dir, "times")}\n`;
  const gateway = await house.serve();
  const worker = await house.work();
  house.write("scripts/build-ios.sh", body("seq 1 1000"), 0o755);
  await once(gateway, "MOB-1");
  const idle = peaks(worker, gateway);

  const script = body(program);
  house.write("floor.sh", script, 0o755);
  house.write("scripts/build-ios.sh", script, 0o755);
  const times: Times = { script: [], run: [], floor: [] };
  for (let round = 0; round < rounds; round++) {
    const out = join(house.dir, "out");
    Bun.spawnSync(["sh", "-c", `${join(house.dir, "floor.sh")} > ${out}`]);
    times.floor.push(took(house));
    rmSync(out);
    times.run.push(await once(gateway, `MOB-${100 + round}`));
    times.script.push(took(house));
  }
  const after = peaks(worker, gateway);
  const floor = median(times.floor);
  const ratio = (list: number[]) => (median(list) / floor).toFixed(2);
  console.log(
    `  limit ${limit.padEnd(6)} floor ${floor.toFixed(2)} s · script ${seconds(times.script)} s = ${ratio(times.script)} · run ${seconds(times.run)} s = ${ratio(times.run)}` +
      ` · peak of the worker ${idle.worker} → ${after.worker} MiB, of the gateway ${idle.gateway} → ${after.gateway} MiB`,
  );
}

const seconds = (list: number[]) => median(list).toFixed(2);

const peaks = (worker: Process, gateway: Process) => ({
  worker: Math.round(peak(worker.child.pid)),
  gateway: Math.round(peak(gateway.child.pid)),
});

console.log(machine());
const redis = await startRedis();
for (const [name, program] of Object.entries(programs)) {
  for (const store of [undefined, `redis://127.0.0.1:${redis.port}/0`]) {
    console.log(`${megabytes} MB, ${name}, ${store ? "Redis" : "SQLite"}`);
    await measure(store, "64MiB", program);
  }
}
console.log(`${megabytes} MB, kept whole, SQLite`);
for (const program of Object.values(programs)) await measure(undefined, "4GiB", program);
await redis.stop();
