import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Household } from "../test/house/household.ts";
import { machine, median, percentile } from "./machine.ts";

// How soon the compiled binary answers, and what an idle gateway weighs, beside the floor: a compiled program that prints one word.

const binary = process.env.MESHMAC_BINARY ?? join(import.meta.dir, "../dist/meshmac");
const example = join(import.meta.dir, "../fixtures/example.config.yaml");
const rounds = Number(process.argv[2] ?? 30);

console.log(machine());
const house = new Household({ config: { lanes: { ios: {} } } });
// Without an import Bun 1.4.5 compiles it without bytecode, and it starts half as fast.
house.write("floor.ts", 'import { writeSync } from "node:fs";\nwriteSync(1, "floor\\n");\n', 0o600);
const floor = join(house.dir, "floor");
const built = Bun.spawnSync([
  process.execPath,
  "build",
  "--compile",
  "--minify",
  "--bytecode",
  "--format=esm",
  join(house.dir, "floor.ts"),
  "--outfile",
  floor,
]);
if (built.exitCode !== 0) throw new Error(String(built.stderr));

interface Took {
  wall: number;
  cpu: number;
}

const time = (argv: string[]): Took => {
  const start = performance.now();
  const { exitCode, stderr, resourceUsage } = Bun.spawnSync(argv, {
    cwd: house.dir,
    env: { HOME: house.dir, PATH: process.env.PATH ?? "" },
  });
  if (exitCode !== 0) throw new Error(`${argv.slice(1).join(" ")}: ${stderr}`);
  return { wall: performance.now() - start, cpu: Number(resourceUsage.cpuTime.total) / 1000 };
};

const commands: [string, string[]][] = [
  ["floor (prints one word)", [floor]],
  ["meshmac --version", [binary, "--version"]],
  ["meshmac config check", [binary, "config", "check", "--config", example]],
];
console.log(
  `\n${"command".padEnd(28)}    p50     p99     cpu   p50 to floor   cpu to floor   (ms, ${rounds} rounds, taken in turns)`,
);
const times = commands.map((): Took[] => []);
for (let i = 0; i < rounds; i++) for (const [n, [, argv]] of commands.entries()) times[n]?.push(time(argv));
const middle = (all: Took[] | undefined): Took => ({
  wall: median((all ?? []).map(({ wall }) => wall)),
  cpu: median((all ?? []).map(({ cpu }) => cpu)),
});
const base = middle(times[0]);
for (const [n, [name]] of commands.entries()) {
  const { wall, cpu } = middle(times[n]);
  const worst = percentile(
    (times[n] ?? []).map((took) => took.wall),
    99,
  );
  const ratios = [wall / base.wall, cpu / base.cpu].map((ratio) => ratio.toFixed(1).padStart(14));
  console.log(
    `${name.padEnd(28)} ${[wall, worst, cpu].map((ms) => ms.toFixed(1).padStart(6)).join("  ")} ${ratios.join(" ")}`,
  );
}

const ready: number[] = [];
let rss = 0;
for (let i = 0; i < 10; i++) {
  const start = performance.now();
  const gateway = await house.serve();
  let status = 0;
  while (status !== 200) status = (await fetch(`${gateway.url}/readyz`)).status;
  ready.push(performance.now() - start);
  if (i === 9) {
    await new Promise((resolve) => setTimeout(resolve, 5000));
    rss = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${gateway.child.pid}/status`, "utf8"))?.[1]) / 1024;
  }
  await gateway.stop();
}
console.log(
  `serve, exec → /readyz 200      p50 ${median(ready).toFixed(0)} ms, max ${Math.max(...ready).toFixed(0)} ms (10 rounds; log read and polled by the bench, so an upper bound)`,
);
console.log(`serve, idle for 5 s            ${rss.toFixed(0)} MB resident`);
await house.close();
