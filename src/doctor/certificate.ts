import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { connect } from "node:tls";
import { MeshError } from "../core/error.ts";

/** What a server showed when it was asked who it is. */
export interface Certificate {
  /** Why it cannot be trusted, as a code; null where it can. */
  fault: string | null;
  /** When it expires, epoch milliseconds; null where it does not say. */
  until: number | null;
}

export interface Knock {
  host: string;
  port: number;
  ca_file?: string | undefined;
  timeout_ms: number;
}

/** Shakes hands with a TLS server, asks for nothing, and answers what its certificate is worth. Throws `unavailable` where no hand was shaken in time. */
export async function certificateOf({ host, port, ca_file, timeout_ms }: Knock): Promise<Certificate> {
  const ca = ca_file === undefined ? undefined : await readFile(ca_file, "utf8");
  const { promise, resolve, reject } = Promise.withResolvers<Certificate>();
  const name = isIP(host) === 0 ? { servername: host } : {};
  const socket = connect({ host, port, ...name, ...(ca !== undefined && { ca }), rejectUnauthorized: false }, () => {
    const until = Date.parse(socket.getPeerCertificate().valid_to);
    const fault = socket.authorized ? null : codeOf(socket.authorizationError);
    resolve({ fault, until: Number.isNaN(until) ? null : until });
  });
  const late = setTimeout(() => socket.destroy(new Error("timeout")), timeout_ms);
  socket.on("error", (fault) =>
    reject(new MeshError("unavailable", `no TLS connection to ${host} (${codeOf(fault)})`)),
  );
  try {
    return await promise;
  } finally {
    clearTimeout(late);
    socket.destroy();
  }
}

function codeOf(fault: unknown): string {
  const said = fault instanceof Error && "code" in fault ? fault.code : fault instanceof Error ? fault.message : fault;
  return /^\w{1,60}$/.test(String(said)) ? String(said) : "not trusted";
}
