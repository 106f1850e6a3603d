import { connect, createServer, type Socket } from "node:net";

/** An address that stays while what answers behind it comes and goes. */
export interface Relay {
  readonly port: number;
  /** Passes new connections on to this port; null cuts every connection and lets none through. */
  lead(to: number | null): void;
  /** A black hole: connections stay open and nothing passes, either way; what was sent meanwhile arrives when it is over. */
  hush(quiet: boolean): void;
  close(): Promise<void>;
}

/** Opens a relay on a free port of the loopback that leads nowhere yet. */
export async function openRelay(): Promise<Relay> {
  let to: number | null = null;
  let quiet = false;
  const open = new Set<Socket>();
  const pairs = new Map<Socket, Socket>();
  const cut = () => open.forEach((socket) => socket.destroy());
  const server = createServer((near) => {
    if (to === null) return void near.destroy();
    const far = connect(to, "127.0.0.1");
    const both = [near, far] as const;
    for (const socket of both) {
      open.add(socket);
      socket
        .on("error", () => {})
        .on("close", () => {
          open.delete(socket);
          pairs.delete(near);
          for (const other of both) other.destroy();
        });
    }
    pairs.set(near, far);
    if (quiet) return;
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (!address || typeof address === "string") throw new Error("the relay has no port");
  return {
    port: address.port,
    lead(port) {
      to = port;
      if (port === null) cut();
    },
    hush(now) {
      if (now === quiet) return;
      quiet = now;
      const ways = [...pairs].flatMap(([near, far]) => [[near, far] as const, [far, near] as const]);
      for (const [source, sink] of ways) {
        if (quiet) source.unpipe(sink).pause();
        else source.pipe(sink);
      }
    },
    async close() {
      cut();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}
