import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A certificate for this machine's loopback and the authority that signed it, as files. */
export interface Certified {
  ca_file: string;
  cert: string;
  key: string;
}

/** Makes an authority and lets it sign a certificate for this machine's loopback and `hosts`, for so many days, all in `dir`. */
export function certify(dir: string, hosts: string[] = [], days = 2): Certified {
  const path = (name: string) => join(dir, name);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const names = `subjectAltName=${["DNS:localhost", "IP:127.0.0.1", ...hosts.map((host) => `DNS:${host}`)].join(",")}\n`;
  writeFileSync(path("names.cnf"), names);
  // No system configuration decides what is asked for.
  writeFileSync(
    path("openssl.cnf"),
    "[req]\ndistinguished_name=dn\nx509_extensions=ca\n[dn]\n[ca]\nbasicConstraints=critical,CA:TRUE\n",
  );
  const with_config = ["-config", path("openssl.cnf")];
  openssl(
    "req",
    "-x509",
    ...key,
    "-keyout",
    path("ca.key"),
    "-out",
    path("ca.pem"),
    "-days",
    "2",
    "-subj",
    "/CN=acme authority",
    ...with_config,
  );
  openssl(
    "req",
    ...key,
    "-keyout",
    path("key.pem"),
    "-out",
    path("gateway.csr"),
    "-subj",
    "/CN=localhost",
    ...with_config,
  );
  const signer = ["-CA", path("ca.pem"), "-CAkey", path("ca.key"), "-CAcreateserial"];
  openssl(
    "x509",
    "-req",
    "-in",
    path("gateway.csr"),
    ...signer,
    "-out",
    path("cert.pem"),
    "-days",
    String(days),
    "-extfile",
    path("names.cnf"),
  );
  chmodSync(path("key.pem"), 0o600);
  return { ca_file: path("ca.pem"), cert: path("cert.pem"), key: path("key.pem") };
}

function openssl(...args: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args], { stdout: "ignore", stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`openssl ${args[0]}: ${stderr.toString()}`);
}
