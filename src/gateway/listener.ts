import type { Server } from "bun";
import { MeshError } from "../core/error.ts";
import type { Address } from "../core/units.ts";
import { log } from "../log.ts";
import { answerError } from "./answer.ts";
import type { Certificate, ListenTls } from "./certificate.ts";
import { openFront, type PeerOf } from "./front.ts";

/** What an answer may ask of the listener that its request came in by. */
export type BunServer = Pick<Server<undefined>, "requestIP" | "timeout">;

export interface Listener {
  /** The port that was really taken. */
  port?: number | undefined;
  /** Takes no more connections, and resolves when the last request is answered; with `abruptly`, closes every connection now. */
  stop(abruptly?: boolean): Promise<void>;
}

export interface ListenOptions {
  /** Where this listener is named in the configuration, for its error. */
  name: string;
  at: Address;
  /** What it shows as a TLS listener; without one it is a plain one. */
  certificate?: Certificate | null;
  /** Bytes at which Bun itself cuts a body off. */
  largestBody: number;
  /** Answers a request; what it throws is answered with 500 and logged. */
  answer: (request: Request, server: BunServer) => Response | Promise<Response>;
}

// A body that drips and an answer that takes long are both cut after this many seconds (rounded up to four): it must be
// more than the time that a store may take, or a slow commit would be cut without an answer.
const idleSeconds = 12;

/** Opens one listener that never shows a stack trace. Throws `unavailable` where the address cannot be had, `permission` where it may not, `config` where its certificate cannot be used. */
export function listen(options: ListenOptions): Listener {
  const { name, at, certificate } = options;
  try {
    return certificate ? listenBehindFront(options, certificate) : serve({ ...options, at });
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "refused";
    if (certificate && !isOfAddress(cause)) {
      const file = cause instanceof Error && "path" in cause ? `, ${JSON.stringify(cause.path)}` : "";
      throw new MeshError("config", `gateway.tls cannot be used (${code}${file})`, {
        hint: "cert and key are PEM files that belong together, client_ca is one of certificates",
        cause,
      });
    }
    throw new MeshError(
      code === "EACCES" ? "permission" : "unavailable",
      `cannot listen on ${at.host}:${at.port} for ${name} (${code})`,
      {
        hint: hintFor(code, name),
        cause,
      },
    );
  }
}

interface Serving extends Pick<ListenOptions, "largestBody" | "answer"> {
  at: Address;
  tls?: ListenTls;
}

const serve = ({ at, tls, largestBody, answer }: Serving): Server<undefined> =>
  Bun.serve({
    hostname: at.host,
    port: at.port,
    development: false,
    // Bun 1.4.5 turns this on with `development: false`: a second gateway would share the port in silence.
    reusePort: false,
    idleTimeout: idleSeconds,
    maxRequestBodySize: largestBody,
    ...(tls && { tls }),
    fetch: answer,
    error: broken,
  });

const inside: Address = { host: "127.0.0.1", port: 0 };

function listenBehindFront({ at, largestBody, answer }: ListenOptions, certificate: Certificate): Listener {
  const open = (peerOf: PeerOf): Server<undefined> =>
    serve({
      at: inside,
      tls: certificate.present(),
      largestBody,
      answer(request, server) {
        const peer = peerOf(server.requestIP(request));
        // Somebody on this machine found the listener inside: what it says of where it comes from would be believed.
        if (peer === null) return new Response(null, { status: 403, headers: { Connection: "close" } });
        return answer(request, { requestIP: () => peer, timeout: (of, seconds) => server.timeout(of, seconds) });
      },
    });
  const front = openFront({ at, open });
  certificate.onChange(() => front.renew());
  return front;
}

/** Bun says of an address that `listen` failed; what it says of a certificate names another call or none. */
const isOfAddress = (cause: unknown): boolean =>
  cause instanceof Error && "syscall" in cause && cause.syscall === "listen";

function hintFor(code: string, name: string): string {
  if (code === "EADDRINUSE") return `something else listens there; change ${name}`;
  if (code === "EACCES") return `ports below 1024 are for root; change ${name} and let a proxy take the low one`;
  return `check ${name}`;
}

/** The last resort: whatever went wrong inside, the sender gets an id to ask about and nothing else. */
export function broken(error: Error): Response {
  const correlation_id = Bun.randomUUIDv7();
  log.error("request failed", { correlation_id, why: error, stack: error.stack });
  return answerError(500, "internal error", correlation_id);
}

/** The origin that a listener can be reached at from its own machine. */
export function originOf(server: Listener, { host }: Address, secure: boolean): string {
  const anywhere: Record<string, string> = { "0.0.0.0": "127.0.0.1", "::": "[::1]" };
  const name = anywhere[host] ?? (host.includes(":") ? `[${host}]` : host);
  return `${secure ? "https" : "http"}://${name}:${server.port}`;
}
