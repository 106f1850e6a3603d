import { MeshError } from "../core/error.ts";
import type { Secret } from "../core/secret.ts";
import { call, type Way } from "../http.ts";
import { asking, type Line } from "./remote/ask.ts";
import { findSocket } from "./remote/place.ts";
import { nodeVerbs, operatorVerbs } from "./remote/verbs.ts";
import type { NodeStore, OperatorStore } from "./store.ts";

export interface RemoteOptions {
  /** Path of the owner's socket, as the configuration gives it. */
  socket: string;
  /** Whether to wait for an owner to appear; without it the first call says that there is none. */
  waitForOwner?: boolean;
  /** Ends the wait for an owner: the store is then opened as it is. */
  signal?: AbortSignal;
}

const patience = 10_000;
const lookAgainAfter = 250;

/**
 * Opens the store that another process of this machine owns, over its socket. Calls throw `unavailable` when no owner
 * answers, and what the owner itself threw with its kind, message and hint.
 */
export async function openRemote({
  socket,
  waitForOwner = false,
  signal,
}: RemoteOptions): Promise<NodeStore & OperatorStore> {
  if (waitForOwner) await anOwner(socket, signal);
  const line: Line = {
    who: "the owner of the store",
    send: ({ verb, type, body, wait_ms, signal: hangUp }) =>
      call({
        method: "POST",
        url: `http://meshmac/api/v1/${verb}`,
        unix: findSocket(socket),
        headers: { "content-type": type },
        body,
        timeout_ms: patience + wait_ms,
        ...(hangUp && { signal: hangUp }),
      }).catch((error: unknown) => {
        throw new MeshError("unavailable", `the owner of the store did not answer at ${JSON.stringify(socket)}`, {
          hint: "start it: meshmac serve",
          cause: error,
        });
      }),
    refusal: () => null,
  };
  const way = asking(line);
  return { ...nodeVerbs(way), ...operatorVerbs(way) };
}

/** Where a node reaches its gateway, and with what. */
export interface GatewayPlace extends Way {
  /** `https://mesh.acme.internal`, as the gateway's `nodes.url` says it. */
  connect: string;
  token: Secret;
  /** Milliseconds that an answer may take beyond what was asked to wait. */
  timeout: number;
}

/**
 * Opens the store behind a gateway, over HTTPS: a node's five verbs and no more. Throws what the token's file is refused
 * for. Calls throw `unavailable` when no gateway answers, `permission` when it does not take the token, and what it threw itself.
 */
export async function openOverHttps({ connect, token, timeout, ...way }: GatewayPlace): Promise<NodeStore> {
  token.reveal();
  const { host } = new URL(connect);
  const line: Line = {
    who: `the gateway at ${host}`,
    send: ({ verb, type, body, wait_ms, signal }) =>
      call({
        method: "POST",
        url: `${connect}/api/v1/${verb}`,
        headers: { "content-type": type },
        body,
        bearer: token,
        way,
        // Chunks of a log come close together. What comes seldom would often meet a connection that was just closed.
        keepalive: type !== "application/json",
        timeout_ms: timeout + wait_ms,
        ...(signal && { signal }),
      }).catch((error: unknown) => {
        if (!(error instanceof MeshError) || error.kind !== "unavailable") throw error;
        throw new MeshError("unavailable", error.message, {
          hint: whyNot(error.message),
        });
      }),
    refusal: (status) => meaningOf(status, host, token),
  };
  return nodeVerbs(asking(line));
}

const whyNot = (message: string): string =>
  /CERT|SIGNED|VERIFY|ISSUER/.test(message)
    ? "name the authority that signed the gateway's certificate in node.ca_file"
    : "check node.connect, and that its gateway runs with gateway.nodes";

function meaningOf(status: number, host: string, token: Secret): MeshError | null {
  if (status === 401) {
    return new MeshError("permission", `the gateway at ${host} does not take this node's token (${token.name})`, {
      hint: "meshmac nodes add, on the gateway's machine, makes one for this node's id",
    });
  }
  const elsewhere = status === 404 || status === 405 || (status >= 300 && status < 400);
  if (!elsewhere) return null;
  return new MeshError("config", `no gateway takes nodes at ${host} (status ${status})`, {
    hint: "node.connect is the gateway's gateway.nodes.url, with https:// and without a path of ours",
  });
}

async function anOwner(socket: string, signal: AbortSignal | undefined): Promise<void> {
  for (;;) {
    if (signal?.aborted || (await isOwned(socket))) return;
    await Bun.sleep(lookAgainAfter);
  }
}

/** Says whether a process answers at the socket of this path. */
export async function isOwned(socket: string): Promise<boolean> {
  try {
    const where = { url: "http://meshmac/healthz", unix: findSocket(socket) };
    await call({ method: "GET", ...where, timeout_ms: 2000 });
    return true;
  } catch {
    return false;
  }
}
