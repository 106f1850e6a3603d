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

/** Where a node or an operator reaches a gateway, and with what. */
export interface GatewayPlace extends Way {
  /** `https://mesh.acme.internal`, as the gateway's `nodes.url` says it; for an operator its `admin.url`. */
  connect: string;
  token: Secret;
  /** Milliseconds that an answer may take beyond what was asked to wait. */
  timeout: number;
}

/**
 * Opens the store behind a gateway, over HTTPS: a node's five verbs and no more. Throws what the token's file is refused
 * for. Calls throw `unavailable` when no gateway answers, `permission` when it does not take the token, and what it threw itself.
 */
export async function openOverHttps(place: GatewayPlace): Promise<NodeStore> {
  return nodeVerbs(asking(lineTo(place, nodeSide)));
}

/**
 * Opens what an operator may ask of the store behind a gateway, over its admin side: runs and their logs, lanes, nodes. Throws
 * like `openOverHttps`; a verb that the admin side does not take throws `config`.
 */
export async function openOverAdmin(place: GatewayPlace): Promise<OperatorStore> {
  return operatorVerbs(asking(lineTo(place, adminSide)));
}

/** What the two sides of a gateway are called where one of them cannot be reached. */
interface Side {
  whyNot: (message: string) => string;
  refused: { says: (host: string, token: Secret) => string; hint: string };
  absent: { says: (host: string, status: number) => string; hint: string };
}

function lineTo({ connect, token, timeout, ...way }: GatewayPlace, side: Side): Line {
  token.reveal();
  const { host } = new URL(connect);
  return {
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
          hint: side.whyNot(error.message),
        });
      }),
    refusal: (status) => meaningOf(status, side, host, token),
  };
}

const unproven = /CERT|SIGNED|VERIFY|ISSUER/;

const nodeSide: Side = {
  whyNot: (message) =>
    unproven.test(message)
      ? "name the authority that signed the gateway's certificate in node.ca_file"
      : "check node.connect, and that its gateway runs with gateway.nodes",
  refused: {
    says: (host, token) => `the gateway at ${host} does not take this node's token (${token.name})`,
    hint: "meshmac nodes add, on the gateway's machine, makes one for this node's id",
  },
  absent: {
    says: (host, status) => `no gateway takes nodes at ${host} (status ${status})`,
    hint: "node.connect is the gateway's gateway.nodes.url, with https:// and without a path of ours",
  },
};

const adminSide: Side = {
  whyNot: (message) =>
    unproven.test(message)
      ? "name the authority that signed its certificate in gateway.admin.ca_file"
      : "check gateway.admin.url, and that its gateway runs",
  refused: {
    says: (host, token) => `the gateway at ${host} does not take this admin token (${token.name})`,
    hint: "gateway.admin.token is to hold what the gateway's own holds",
  },
  absent: {
    says: (host, status) => `no gateway of this version takes operators at ${host} (status ${status})`,
    hint: "gateway.admin.url is what reaches the gateway's admin side, with https:// and without a path of ours",
  },
};

function meaningOf(status: number, { refused, absent }: Side, host: string, token: Secret): MeshError | null {
  if (status === 401) return new MeshError("permission", refused.says(host, token), { hint: refused.hint });
  const elsewhere = status === 404 || status === 405 || (status >= 300 && status < 400);
  return elsewhere ? new MeshError("config", absent.says(host, status), { hint: absent.hint }) : null;
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
