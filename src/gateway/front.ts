import type { Server, Socket, SocketAddress } from "bun";
import type { Address } from "../core/units.ts";
import { log } from "../log.ts";
import { End, relaying } from "./relay.ts";

// Bun 1.4.5 cannot change the certificate of a listener, and a second listener on the same port loses the connections that
// wait in the queue of the first. So the socket that the world connects to never closes and knows nothing of TLS: it passes
// bytes on to a listener of this process on loopback, which has the certificate. A new certificate is a new listener inside;
// connections that were made before stay with theirs until they end.

export interface FrontOptions {
  at: Address;
  /** Opens a listener inside, with the certificate of the moment; `peerOf` tells it whose a connection is. */
  open: (peerOf: PeerOf) => Server<undefined>;
}

/** Says who is at the other end of a connection to a listener inside; null of one that the front did not make. */
export type PeerOf = (from: SocketAddress | null) => SocketAddress | null;

export interface Front {
  port: number;
  /** Opens a listener inside anew and sends every new connection there. What it throws leaves everything as it was. */
  renew(): void;
  /** Takes no more connections, and resolves when the last request is answered; with `abruptly`, closes every connection now. */
  stop(abruptly?: boolean): Promise<void>;
}

/** One listener inside, and what is connected through it. */
interface Inside {
  server: Server<undefined>;
  /** Whose connection it is that comes from a port of loopback. */
  peers: Map<number, SocketAddress>;
  /** Both ends of every connection, as long as they are open. */
  ends: Set<End>;
}

const loopback = "127.0.0.1";

/** Opens the socket that the world connects to and the first listener inside. Throws what Bun says where one cannot be had. */
export function openFront({ at, open }: FrontOptions): Front {
  const all = new Set<Inside>();
  let present = openInside();
  let isStopping = false;
  let isFailing = false;

  function openInside(): Inside {
    const peers = new Map<number, SocketAddress>();
    const server = open((from) => (from?.address === loopback ? (peers.get(from.port) ?? null) : null));
    const inside = { server, peers, ends: new Set<End>() };
    all.add(inside);
    return inside;
  }

  /** A listener whose certificate was replaced goes when its last connection has. */
  function release(inside: Inside): void {
    if (inside === present || inside.ends.size > 0 || isStopping) return;
    all.delete(inside);
    void inside.server.stop(true);
  }

  function endOf(inside: Inside, over?: () => void): End {
    const end = new End(() => {
      over?.();
      inside.ends.delete(end);
      release(inside);
    });
    inside.ends.add(end);
    return end;
  }

  function admit(socket: Socket<End>): void {
    const inside = present;
    const { remoteAddress: address, remotePort: port, remoteFamily: family } = socket;
    let from = 0;
    const client = endOf(inside);
    const inner = endOf(inside, () => inside.peers.delete(from));
    client.join(inner);
    socket.data = client;
    client.opened(socket);
    const opened = (through: Socket<End>): void => {
      isFailing = false;
      from = through.localPort;
      inside.peers.set(from, { address, port, family });
      inner.opened(through);
    };
    Bun.connect<End>({
      hostname: loopback,
      port: inside.server.port ?? 0,
      allowHalfOpen: true,
      data: inner,
      socket: { ...relaying, open: opened },
    }).catch((fault: Error) => {
      // Descriptors or ports have run out: every further connection would say the same.
      if (!isFailing) log.warn("connection not taken", { why: fault.message });
      isFailing = true;
      client.cut();
      inner.closed();
    });
  }

  const outside = (() => {
    try {
      return Bun.listen<End>({
        hostname: at.host,
        port: at.port,
        allowHalfOpen: true,
        socket: { ...relaying, open: admit },
      });
    } catch (fault) {
      void present.server.stop(true);
      throw fault;
    }
  })();

  return {
    port: outside.port,
    renew() {
      const before = present;
      present = openInside();
      release(before);
    },
    async stop(abruptly = false) {
      isStopping = true;
      outside.stop(abruptly);
      await Promise.all([...all].map(({ server }) => server.stop(abruptly)));
    },
  };
}
