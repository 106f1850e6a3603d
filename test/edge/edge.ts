import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request as overTls } from "node:https";
import { request as inTheClear } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { certify } from "../fakes/authority.ts";

export const edges = ["caddy", "nginx"] as const;
export type EdgeName = (typeof edges)[number];

/** Where the samples name what differs from house to house. */
export const doorHost = "gateway.example";
export const nodeHost = "nodes.gateway.internal";

export interface EdgeOptions {
  doors: string;
  nodes: string;
  /** Text of the sample that this test has otherwise; it must be there. */
  over?: Record<string, string>;
}

export interface Asked {
  method?: string;
  host?: string;
  plain?: boolean;
  headers?: Record<string, string>;
  body?: string;
}

export interface Answered {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

export interface Edge {
  ask(path: string, asked?: Asked): Promise<Answered>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Where a server program may lie; on Debian not on everybody's PATH. */
export const programOf = (name: EdgeName): string | null =>
  Bun.which(name, { PATH: `${process.env.PATH ?? ""}:/usr/sbin:/usr/local/sbin` });

/** Starts the real program on the sample as it stands, but for ports, certificates and `over`. */
export async function openEdge(name: EdgeName, options: EdgeOptions): Promise<Edge> {
  // Neither program says which port it was given, so one that was free is asked for, and another where it was lost.
  for (let left = 5; ; left--) {
    const edge = await tried(name, options);
    if (typeof edge !== "string") return edge;
    if (left === 1 || !/in use/i.test(edge)) throw new Error(`${name} did not start: ${edge}`);
  }
}

async function tried(name: EdgeName, options: EdgeOptions): Promise<Edge | string> {
  const dir = mkdtempSync(join(tmpdir(), "meshmac-edge-"));
  const ports = { https: freePort(), http: freePort() };
  const { ca_file, cert, key } = certify(dir, [doorHost, nodeHost]);
  const sample = readFileSync(join(import.meta.dir, "../../fixtures/edge", sampleOf[name]), "utf8");
  const start = { caddy: startCaddy, nginx: startNginx }[name];
  const child = start(dir, { ...options, ...ports, sample, cert, key });
  const said = new Response(child.stderr).text();
  const close = async () => {
    child.kill("SIGKILL");
    await child.exited;
    rmSync(dir, { recursive: true, force: true });
  };
  const ca = readFileSync(ca_file, "utf8");
  const ask: Edge["ask"] = (path, asked = {}) => asking(path, asked, ports, ca);
  const end = performance.now() + 20_000;
  while (performance.now() < end && child.exitCode === null) {
    const up = await Promise.all([ask("/up", { method: "GET" }), ask("/up", { method: "GET", plain: true })]).catch(
      () => null,
    );
    if (up) return { ask, [Symbol.asyncDispose]: close };
    await Bun.sleep(20);
  }
  await close();
  return (await said).slice(-1500);
}

const sampleOf = { caddy: "Caddyfile", nginx: "nginx.conf" };

interface Start extends EdgeOptions {
  sample: string;
  https: number;
  http: number;
  cert: string;
  key: string;
}

function startCaddy(dir: string, { sample, doors, nodes, over, https, http, cert, key }: Start) {
  const tls = `tls ${cert} ${key}`;
  const text = replaced(sample, {
    "{\n\tservers {": `{\n\tadmin off\n\tauto_https disable_redirects\n\thttp_port ${http}\n\thttps_port ${https}\n\tservers {`,
    [`https://${doorHost} {`]: `https://${doorHost} {\n\t${tls}`,
    "tls internal": tls,
    "reverse_proxy 127.0.0.1:8787": `reverse_proxy ${hostOf(doors)}`,
    "reverse_proxy 127.0.0.1:8789": `reverse_proxy ${hostOf(nodes)}`,
    ...over,
  });
  const file = join(dir, "Caddyfile");
  writeFileSync(file, text);
  return run([programOf("caddy") ?? "caddy", "run", "--config", file, "--adapter", "caddyfile"], dir);
}

function startNginx(dir: string, { sample, doors, nodes, over, https, http, cert, key }: Start) {
  const text = replaced(sample, {
    "listen 80;": `listen 127.0.0.1:${http};`,
    "listen 443 ssl;": `listen 127.0.0.1:${https} ssl;`,
    "/etc/ssl/meshmac/gateway.pem": cert,
    "/etc/ssl/meshmac/gateway.key": key,
    "/etc/ssl/meshmac/nodes.pem": cert,
    "/etc/ssl/meshmac/nodes.key": key,
    "server 127.0.0.1:8787;": `server ${hostOf(doors)};`,
    "server 127.0.0.1:8789;": `server ${hostOf(nodes)};`,
    ...over,
  });
  writeFileSync(join(dir, "meshmac.conf"), text);
  const temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${dir}/${kind};`);
  mkdirSync(join(dir, "logs"));
  writeFileSync(
    join(dir, "nginx.conf"),
    [
      `daemon off; master_process off; pid ${dir}/nginx.pid; error_log stderr;`,
      "events {}",
      `http { access_log off; ${temps.join(" ")} include ${dir}/meshmac.conf; }`,
    ].join("\n"),
  );
  return run([programOf("nginx") ?? "nginx", "-p", dir, "-e", "stderr", "-c", join(dir, "nginx.conf")], dir);
}

function replaced(sample: string, over: Record<string, string>): string {
  return Object.entries(over).reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`the sample has no ${JSON.stringify(from)}`);
    return text.replaceAll(from, to);
  }, sample);
}

const run = (command: string[], dir: string) =>
  Bun.spawn(command, { cwd: dir, env: { HOME: dir, PATH: "/usr/bin:/bin" }, stdout: "ignore", stderr: "pipe" });

const hostOf = (url: string): string => new URL(url).host;

function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

function asking(path: string, asked: Asked, ports: { https: number; http: number }, ca: string): Promise<Answered> {
  const { method = "POST", host = doorHost, plain = false, headers = {}, body } = asked;
  const how = { host: "127.0.0.1", path, method, headers: { host, ...headers }, agent: false };
  return new Promise((resolve, reject) => {
    const request = plain
      ? inTheClear({ ...how, port: ports.http })
      : overTls({ ...how, port: ports.https, servername: host, ca });
    request.on("response", (response) => {
      let text = "";
      response.on("data", (chunk) => (text += String(chunk)));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}
