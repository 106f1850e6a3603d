// What it costs that a certificate can change, and what is lost while it does: bun bench/certificate.ts [cost] [swaps]
// BENCH_SECONDS and BENCH_ROUNDS name the effort of the first part, BENCH_SWAPS that of the second.
import { copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { certify } from "../test/fakes/authority.ts";
import { eventually, Household, tokens } from "../test/house/household.ts";
import type { FloorAsk } from "./floor.ts";
import { delivery, type LoadAsk, type LoadResult } from "./load.ts";
import { machine, median } from "./machine.ts";

const seconds = Number(process.env.BENCH_SECONDS ?? 5);
const rounds = Number(process.env.BENCH_ROUNDS ?? 3);
const swaps = Number(process.env.BENCH_SWAPS ?? 110);
const listeners = ["bun", "gateway"] as const;

const header = "X-Meshmac-Jira-Token";
const { jira: token } = tokens;
const print = (line: string): void => void process.stdout.write(`${line}\n`);

function startLoad(ask: Pick<LoadAsk, "port" | "fresh" | "measure_ms" | "connections">): Promise<LoadResult> {
  const whole: LoadAsk = { path: "/jira/openclaw", header, token, tls: true, warm_ms: 500, body: delivery, ...ask };
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "load.ts"), JSON.stringify(whole)], {
    stdout: "pipe",
  });
  return child.stdout.json();
}

/** Deliveries over TLS to a floor that stores them, its listener being Bun's or the gateway's. */
async function measure(by: (typeof listeners)[number], fresh: boolean): Promise<LoadResult> {
  const dir = mkdtempSync(join(tmpdir(), "meshmac-bench-"));
  try {
    const { cert, key } = certify(dir);
    mkdirSync(join(dir, "state"));
    const store = `sqlite:${join(dir, "state/meshmac.db")}`;
    const ask: FloorAsk = { store, state_dir: join(dir, "state"), header, token, tls: { cert, key, by } };
    const floor = Bun.spawn([process.execPath, join(import.meta.dir, "floor.ts"), JSON.stringify(ask)], {
      stdout: "pipe",
      stderr: "inherit",
    });
    try {
      const { value } = await floor.stdout.getReader().read();
      const port = Number(new TextDecoder().decode(value));
      return await startLoad({ port, fresh, measure_ms: seconds * 1000, connections: 64 });
    } finally {
      floor.kill("SIGKILL");
      await floor.exited;
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function cost(fresh: boolean): Promise<void> {
  const what = fresh ? "a new connection each" : "kept connections";
  const rates = { bun: [] as number[], gateway: [] as number[] };
  for (let round = 1; round <= rounds; round++) {
    for (const by of listeners) {
      const { per_second, p50_ms, p99_ms, refused } = await measure(by, fresh);
      rates[by].push(per_second);
      print(
        `${what}, round ${round} ${by.padEnd(7)} ${per_second}/s  p50 ${p50_ms} ms  p99 ${p99_ms} ms  refused ${refused}`,
      );
    }
  }
  const [bun, gateway] = [median(rates.bun), median(rates.gateway)];
  print(
    `${what}: gateway's ${gateway}/s, Bun's ${bun}/s, ratio ${(gateway / bun).toFixed(2)} (medians of ${rounds})\n`,
  );
}

/** New connections to the compiled gateway, as fast as they come, while its certificate files change. */
async function lost(): Promise<void> {
  await using house = new Household({
    config: {
      gateway: {
        listen: "127.0.0.1:0",
        admin: { listen: "127.0.0.1:0" },
        drain_delay: "0s",
        tls: { cert: "tls/cert.pem", key: "tls/key.pem" },
      },
    },
  });
  const pairs = ["tls", "one", "other"].map((name) => {
    mkdirSync(join(house.dir, name), { mode: 0o700 });
    return certify(join(house.dir, name));
  });
  const gateway = await house.serve();
  const loaded = () => gateway.lines.filter(({ msg }) => msg === "certificate loaded").length;
  const [present] = pairs;
  const measure_ms = swaps * 560;
  const load = startLoad({ port: Number(new URL(gateway.url).port), fresh: true, measure_ms, connections: 32 });
  const end = performance.now() + measure_ms;
  while (performance.now() < end) {
    const before = loaded();
    const fresh = pairs[1 + (before % 2)];
    if (!present || !fresh) throw new Error("no certificates");
    for (const file of ["cert", "key"] as const) {
      copyFileSync(fresh[file], `${present[file]}.fresh`);
      renameSync(`${present[file]}.fresh`, present[file]);
    }
    await eventually("the certificate to be loaded", () => loaded() > before);
  }
  const { accepted, refused, per_second } = await load;
  const complaints = gateway.lines.filter(({ level }) => level === "error" || level === "warn").length;
  print(
    `${loaded()} certificates, ${accepted} new connections (${per_second}/s), ${refused} failed, ${complaints} complaints`,
  );
}

const asked = process.argv.slice(2);
print(`${machine()}\nclient, server and store share the machine\n`);
if (asked.length === 0 || asked.includes("cost")) for (const fresh of [false, true]) await cost(fresh);
if (asked.length === 0 || asked.includes("swaps")) await lost();
