// Durable accepts per second at 64 connections: the compiled gateway beside a floor that does nothing it could leave out.
// bun bench/accept.ts [sqlite] [redis]; MESHMAC_BINARY names another binary, BENCH_SECONDS and BENCH_ROUNDS the effort.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startRedis } from "../test/fakes/redis-server.ts";
import type { FloorAsk } from "./floor.ts";
import { delivery, type LoadAsk, type LoadResult } from "./load.ts";
import { machine, median } from "./machine.ts";

const binary = process.env.MESHMAC_BINARY ?? join(import.meta.dir, "../dist/meshmac");
const seconds = Number(process.env.BENCH_SECONDS ?? 5);
const rounds = Number(process.env.BENCH_ROUNDS ?? 3);
const connections = 64;

const header = "X-Meshmac-Jira-Token";
const path = "/jira/openclaw";
const token = new Bun.CryptoHasher("sha256").update("bench").digest("hex");
const storeNames = ["sqlite", "redis"] as const;
type StoreName = (typeof storeNames)[number];
type Start = (dir: string, store: string) => Promise<{ port: number; stop(): Promise<void> }>;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** A floor in a process of its own, run by the Bun that runs this bench. */
const startFloor: Start = async (dir, store) => {
  const ask: FloorAsk = { store, state_dir: dir, header, token };
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "floor.ts"), JSON.stringify(ask)], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const { value } = await child.stdout.getReader().read();
  if (!value) throw new Error("the floor did not start");
  return { port: Number(new TextDecoder().decode(value)), stop: () => stop(child) };
};

/** The compiled gateway with one door; its log goes to a file, as in production. */
const startGateway: Start = async (dir, store) => {
  mkdirSync(join(dir, "secrets.d/jira"), { recursive: true, mode: 0o700 });
  writeFileSync(join(dir, "secrets.d/jira/inbound.token"), token);
  chmodSync(join(dir, "secrets.d/jira/inbound.token"), 0o600);
  const config = join(dir, "meshmac.config.json");
  writeFileSync(config, JSON.stringify(configWith(store)), { mode: 0o600 });
  const log = join(dir, "gateway.log");
  const child = Bun.spawn([binary, "serve", "--config", config], { cwd: dir, stdout: "ignore", stderr: Bun.file(log) });
  return { port: await portIn(log, child), stop: () => stop(child) };
};

const configWith = (store: string) => ({
  pool: "bench",
  store,
  state_dir: "./state",
  gateway: { listen: "127.0.0.1:0", admin: { listen: "127.0.0.1:0" }, drain_delay: "0s" },
  repos: { app: "git@git.example:acme/app.git" },
  lanes: { ios: {} },
  sources: {
    jira: {
      kind: "jira",
      path,
      header,
      token: "jira/inbound.token",
      build_when: [{ status: ["Ready for build"], labels: ["ci-build"] }],
      task: { script: "build-ios", lane: "ios", repo: "app", ref: { from: "ref", default: "main" } },
    },
  },
});

async function portIn(log: string, child: Bun.Subprocess): Promise<number> {
  const patience = performance.now() + 10_000;
  while (performance.now() < patience && child.exitCode === null) {
    const listening = (await Bun.file(log).text()).split("\n").find((line) => line.includes('"gateway listening"'));
    if (listening) return Number(new URL(String(JSON.parse(listening).public_url)).port);
    await Bun.sleep(5);
  }
  throw new Error(`the gateway did not start:\n${await Bun.file(log).text()}`);
}

async function stop(child: Bun.Subprocess): Promise<void> {
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
  await child.exited;
  clearTimeout(late);
}

/** One measurement: a store with nothing in it, a server on it, the load from a third process. */
async function measure(start: Start, name: StoreName): Promise<LoadResult> {
  const dir = mkdtempSync(join(tmpdir(), "meshmac-bench-"));
  const redis = name === "redis" ? await startRedis({ appendonly: "yes", appendfsync: "everysec" }) : null;
  try {
    mkdirSync(join(dir, "state"));
    const server = await start(
      dir,
      redis ? `redis://127.0.0.1:${redis.port}/0` : `sqlite:${join(dir, "state/meshmac.db")}`,
    );
    try {
      return await loadOn(server.port);
    } finally {
      await server.stop();
    }
  } finally {
    await redis?.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function loadOn(port: number): Promise<LoadResult> {
  const ask: LoadAsk = {
    port,
    path,
    header,
    token,
    connections,
    warm_ms: 1000,
    measure_ms: seconds * 1000,
    body: delivery,
  };
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "load.ts"), JSON.stringify(ask)], {
    stdout: "pipe",
  });
  return JSON.parse(await child.stdout.text());
}

/** Floor and gateway take turns, so that what the machine does meanwhile meets both. */
async function compare(name: StoreName): Promise<void> {
  const floors: number[] = [];
  const gateways: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    for (const [who, start, results] of [
      ["floor", startFloor, floors],
      ["gateway", startGateway, gateways],
    ] as const) {
      const { per_second, p50_ms, p99_ms, refused } = await measure(start, name);
      results.push(per_second);
      print(
        `${name} round ${round} ${who.padEnd(7)} ${per_second}/s  p50 ${p50_ms} ms  p99 ${p99_ms} ms  refused ${refused}`,
      );
    }
  }
  const [floor, gateway] = [median(floors), median(gateways)];
  print(
    `${name}: gateway ${gateway}/s, floor ${floor}/s, ratio ${(gateway / floor).toFixed(2)} (medians of ${rounds})\n`,
  );
}

const asked = storeNames.filter((name) => process.argv.length === 2 || process.argv.includes(name));
print(
  `${machine()}\n${connections} connections, ${seconds} s a round after 1 s of warming up; client, server and store share the machine\n`,
);
for (const name of asked) await compare(name);
