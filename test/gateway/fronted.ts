import { X509Certificate } from "node:crypto";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { openCertificate } from "../../src/gateway/certificate.ts";
import { listen, type ListenOptions } from "../../src/gateway/listener.ts";
import { type Certified, certify } from "../fakes/authority.ts";

/** Where the certificates of a test file lie; it clears them away at its end. */
export const dir = mkdtempSync(join(tmpdir(), "meshmac-front-"));
export const clear = (): void => rmSync(dir, { recursive: true, force: true });

export const hasOpenssl = Bun.which("openssl") !== null;
export const mebi = 1024 * 1024;
/** For a client that believes every certificate. */
export const anyone = { tls: { rejectUnauthorized: false } };
export const echo = async (request: Request): Promise<Response> => new Response(await request.bytes());

let made = 0;

/** A certificate of an authority of its own, good for so many days. */
export function pairOf(days?: number): Certified {
  const own = join(dir, `pair-${made++}`);
  mkdirSync(own, { recursive: true, mode: 0o700 });
  return certify(own, [], days);
}

/** Puts a pair in the place of another, one file after the other, as most tools do. */
export function replace({ cert, key }: Pick<Certified, "cert" | "key">, by: Pick<Certified, "cert" | "key">): void {
  for (const [to, from] of [
    [cert, by.cert],
    [key, by.key],
  ] as const) {
    copyFileSync(from, `${to}.fresh`);
    renameSync(`${to}.fresh`, to);
  }
}

export const printOf = ({ cert }: Pick<Certified, "cert">): string =>
  new X509Certificate(readFileSync(cert)).fingerprint256;

/** A TLS listener of ours, its certificate in files that a test may change. */
export function openFronted(answer: ListenOptions["answer"], more: { client_ca?: string } = {}) {
  const files = pairOf();
  const certificate = openCertificate({ ...files, ...more });
  const listener = listen({
    name: "the front",
    at: { host: "127.0.0.1", port: 0 },
    certificate,
    largestBody: 512 * mebi,
    answer,
  });
  const port = listener.port ?? 0;
  return {
    files,
    certificate,
    port,
    url: `https://127.0.0.1:${port}/`,
    async [Symbol.asyncDispose]() {
      certificate.stop();
      await listener.stop(true);
    },
  };
}

/** A connection whose hand was shaken. */
export const secured = (port: number): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => resolve(socket));
    socket.once("error", reject);
  });
