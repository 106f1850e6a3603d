import { mkdtemp, rm } from "node:fs/promises";
import { createServer, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StoreUrl } from "../../src/core/store-url.ts";

export interface RedisOptions {
  appendonly?: "yes" | "no";
  appendfsync?: "always" | "everysec";
  /** One node that owns all 16,384 slots; `nameless` does not know its own address, as one that never met another. */
  cluster?: boolean | "nameless";
  requirepass?: string;
  /** Further configuration, as on the command line: `{ maxmemory: "64mb" }`. */
  more?: Record<string, string>;
  /** Further environment. */
  env?: Record<string, string>;
}

export interface RedisServer {
  readonly port: number;
  readonly url: Extract<StoreUrl, { kind: "redis" }>;
  readonly dir: string;
  /** Ends it as a crash would. */
  kill9(): Promise<void>;
  /** Starts it again (after `kill9`) on the same port and folder, perhaps with other options. */
  restart(options?: RedisOptions): Promise<void>;
  /** Freezes it: the sockets stay open and nothing answers. */
  pause(): void;
  resume(): void;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

/** Starts a real redis-server on a free port in a folder of its own; tries other ports where another process was faster. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const binary = Bun.which("redis-server");
  if (!binary) throw new Error("redis-server is missing: apt-get install redis-server, or brew install redis");
  for (let attempt = 1; ; attempt++) {
    const dir = await mkdtemp(join(tmpdir(), "meshmac-redis-"));
    const port = await freePort();
    try {
      return serverOn(port, dir, await launch(binary, port, dir, options), options, binary);
    } catch (error) {
      await rm(dir, { recursive: true, force: true });
      if (attempt === 5) throw error;
    }
  }
}

type Child = Bun.Subprocess<"ignore", "ignore", "ignore">;

function serverOn(port: number, dir: string, first: Child, options: RedisOptions, binary: string): RedisServer {
  let child = first;
  const end = async () => {
    child.kill("SIGKILL"); // also ends a frozen one
    await child.exited;
  };
  return {
    port,
    dir,
    url: { kind: "redis", tls: false, hosts: [{ host: "127.0.0.1", port }], db: 0 },
    kill9: end,
    async restart(now = options) {
      child = await launch(binary, port, dir, now);
    },
    pause: () => child.kill("SIGSTOP"),
    resume: () => child.kill("SIGCONT"),
    async stop() {
      await end();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function launch(binary: string, port: number, dir: string, options: RedisOptions): Promise<Child> {
  const settings = {
    port: String(port),
    bind: "127.0.0.1",
    dir,
    save: "",
    appendonly: options.appendonly ?? "yes",
    appendfsync: options.appendfsync ?? "everysec",
    logfile: join(dir, "redis.log"),
    ...(options.requirepass && { requirepass: options.requirepass }),
    // The port of the cluster's bus is the port + 10,000 by default, and that may be taken or too high.
    ...(options.cluster && { "cluster-enabled": "yes", "cluster-port": String(await freePort()) }),
    ...(options.cluster === true && { "cluster-announce-ip": "127.0.0.1" }),
    ...options.more,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const env = { ...process.env, ...options.env };
  const child = Bun.spawn([binary, ...flags], { stdin: "ignore", stdout: "ignore", stderr: "ignore", env });
  try {
    await until(child, async () => /PONG|NOAUTH/.test(await say(port, "PING")));
    if (options.cluster) {
      const slots = await say(port, "CLUSTER ADDSLOTSRANGE 0 16383");
      if (!/OK|busy/.test(slots)) throw new Error(`no slots: ${slots}`);
      await until(child, async () => (await say(port, "CLUSTER INFO")).includes("cluster_state:ok"));
    }
    return child;
  } catch (error) {
    child.kill("SIGKILL");
    await child.exited;
    throw error;
  }
}

async function until(child: Child, condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await condition().catch(() => false))) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error("redis-server ended at once");
    if (Date.now() > deadline) throw new Error("redis-server did not come up within 20 s");
    await Bun.sleep(10);
  }
}

/** Says one inline command and resolves with the first bytes of the answer. */
function say(port: number, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = new Socket();
    socket.once("error", reject);
    socket.once("data", (data) => {
      socket.destroy();
      resolve(data.toString());
    });
    socket.connect(port, "127.0.0.1", () => socket.write(`${command}\r\n`));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() =>
        address && typeof address === "object" ? resolve(address.port) : reject(new Error("no port")),
      );
    });
  });
}
