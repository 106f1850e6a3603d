import { createServer, type Server, type Socket, connect } from "node:net";

export interface RedisProxy {
  readonly port: number;
  /** Replies that never reached the client. */
  readonly dropped: number;
  /** Lets the next command through, and breaks the line instead of passing its reply on. */
  dropNextReply(): void;
  /** Rewrites every reply from now on; it must stay as long as it is. */
  rewrite(reply: (text: string) => string): void;
  /** Holds every reply back for so many milliseconds from now on. */
  delay(ms: number): void;
  stop(): Promise<void>;
}

/** Stands between a client and a Redis on this machine. */
export async function startProxy(to: number): Promise<RedisProxy> {
  let dropping = false;
  let dropped = 0;
  let rewritten = (text: string) => text;
  let late = 0;
  const open = new Set<Socket>();
  const server: Server = createServer((client) => {
    const redis = connect(to, "127.0.0.1");
    const close = () => {
      client.destroy();
      redis.destroy();
    };
    for (const socket of [client, redis]) {
      open.add(socket);
      socket.on("error", close).on("close", () => {
        open.delete(socket);
        close();
      });
    }
    client.on("data", (data) => redis.write(data));
    redis.on("data", (data) => {
      const passed = Buffer.from(rewritten(data.toString("latin1")), "latin1");
      if (!dropping && late > 0) return void setTimeout(() => client.write(passed), late);
      if (!dropping) return void client.write(passed);
      dropping = false;
      dropped++;
      close();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (!address || typeof address === "string") throw new Error("the proxy has no port");
  return {
    port: address.port,
    get dropped() {
      return dropped;
    },
    dropNextReply() {
      dropping = true;
    },
    rewrite: (reply) => void (rewritten = reply),
    delay: (ms) => void (late = ms),
    async stop() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}
