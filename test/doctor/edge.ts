import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { configFrom } from "../../src/config.ts";
import { openServer } from "../../src/gateway/server.ts";
import type { Ward } from "./ward.ts";

export interface EdgeOptions {
  /** How long its certificate is still good for. */
  days?: number;
  /** Whom it is for. */
  names?: string;
  /** Whether the checks trust who signed it. */
  trusted?: boolean;
  /** What the edge answers by itself, or the request that it hands on in place of the one that came. */
  edge?: (request: Request) => Response | Request;
  /** What the gateway that runs was started with in place of what the file says by now. */
  header?: string;
}

/** Puts a real gateway and a TLS edge before it into a ward, and tells its file where they are. */
export async function openEdge(
  ward: Ward,
  { days = 90, names = "DNS:localhost,IP:127.0.0.1", trusted = true, edge, header }: EdgeOptions = {},
): Promise<void> {
  ward.change("gateway", { listen: "127.0.0.1:0" });
  ward.change("gateway.admin", { listen: "127.0.0.1:0" });
  const said = structuredClone(ward.raw);
  if (header !== undefined) ward.change("sources.jira", { header });
  const { config, vault } = configFrom(ward.raw, { base: ward.dir, env: {} });
  Object.assign(ward.raw, said);
  const server = await openServer({ config, vault, store: ward.store });
  const { ca_file, cert, key } = certificateIn(ward.dir, days, names);
  const proxy = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: { cert: Bun.file(cert), key: Bun.file(key) },
    fetch(request) {
      const passed = edge ? edge(request) : request;
      if (passed instanceof Response) return passed;
      const { pathname } = new URL(passed.url);
      return fetch(server.publicUrl + pathname, { method: passed.method, headers: passed.headers, body: passed.body });
    },
  });
  ward.closing.push(
    () => server.stop(),
    () => proxy.stop(true),
  );
  ward.change("gateway", { listen: new URL(server.publicUrl).host, public_url: `https://localhost:${proxy.port}` });
  if (trusted) ward.over = { ...ward.over, outbound: { ...ward.scene().outbound, ca_file } };
}

/** Makes an authority and a certificate for localhost that it signed. */
function certificateIn(dir: string, days: number, names: string): { ca_file: string; cert: string; key: string } {
  const path = (name: string): string => join(dir, name);
  const [ca_file, caKey, cert] = [path("ca.pem"), path("ca.key"), path("edge.pem")];
  const [key, asked] = [path("edge.key"), path("edge.csr")];
  const fresh = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  writeFileSync(path("names"), `subjectAltName=${names}\n`);
  openssl("req", "-x509", ...fresh, "-keyout", caKey, "-out", ca_file, "-subj", "/CN=acme", "-days", "400");
  openssl("req", ...fresh, "-keyout", key, "-out", asked, "-subj", "/CN=localhost");
  const signed = ["-CA", ca_file, "-CAkey", caKey, "-CAcreateserial", "-extfile", path("names")];
  openssl("x509", "-req", "-in", asked, ...signed, "-days", String(days), "-out", cert);
  return { ca_file, cert, key };
}

function openssl(...args: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args]);
  if (exitCode !== 0) throw new Error(stderr.toString());
}
