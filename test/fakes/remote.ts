import type { Socket, TCPSocketListener } from "bun";

/** One request as it arrived, byte for byte. */
export interface Received {
  method: string;
  /** What was asked for, as it stood in the request line. */
  target: string;
  path: string;
  query: URLSearchParams;
  /** In the order and case they came, duplicates included. */
  rawHeaders: [name: string, value: string][];
  headers: Headers;
  bytes: Uint8Array;
  text: string;
  at: number;
  /** What the service itself answered, whether or not that arrived; absent where it never saw the request. */
  answered?: number;
}

export interface Answered {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}

/** What to do with one request in place of, or around, the service's own answer. */
export type Injection =
  | number // this status, nothing else
  | Answered
  | "normal"
  | "reset" // cut before the service saw it
  | "accept-then-reset" // the service took it, the answer never arrives
  | "truncate" // the answer breaks off
  | "garbage" // what arrives is not HTTP
  | { redirect: string }
  | { gate: Gate; after?: Injection };

/** Holds a request back until it is opened: a slow remote without a sleep. */
export interface Gate {
  open(): void;
  opened: Promise<void>;
}

export function gate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { open: resolve, opened: promise };
}

export type Service = (request: Received) => Answered | Promise<Answered>;

export interface Remote extends Disposable {
  url: string;
  port: number;
  requests: Received[];
  /** How many connections were opened so far. */
  connections(): number;
  /** Resolves when this many requests have arrived. */
  arrived(count: number): Promise<Received[]>;
  close(): void;
}

export interface Tls {
  cert: string;
  key: string;
  ca?: string;
}

/** A remote that gives these answers in turn; the last one stays. */
export function remote(...answers: Injection[]): Remote {
  const last = answers.at(-1) ?? 200;
  return openRemote({ script: answers, after: last });
}

export interface RemoteOptions {
  service?: Service;
  /** What happens to the first requests, one each. */
  script?: Injection[];
  /** What happens to all later ones. */
  after?: Injection;
  tls?: Tls;
}

/** A real server on a free port of the loopback, speaking HTTP by hand so that it can also speak it badly. */
export function openRemote({ service, script = [], after = "normal", tls }: RemoteOptions = {}): Remote {
  const answer = service ?? (() => ({ status: 200, headers: { "Content-Type": "text/plain" }, body: "ok" }));
  const requests: Received[] = [];
  const waiting = new Set<() => void>();
  const open = new Set<Wire>();
  let next = 0;
  let opened = 0;

  const take = async (wire: Wire, request: Received): Promise<void> => {
    const injected = script[next++] ?? after;
    requests.push(request);
    for (const look of waiting) look();
    await perform(injected, wire, request, answer);
  };

  const listener: TCPSocketListener<Wire> = Bun.listen<Wire>({
    hostname: "127.0.0.1",
    port: 0,
    ...(tls && { tls: { ...tls, ...(tls.ca !== undefined && { requestCert: true, rejectUnauthorized: true }) } }),
    socket: {
      open(socket) {
        opened++;
        socket.data = new Wire(socket, take);
        open.add(socket.data);
      },
      data: (socket, chunk) => socket.data.read(chunk),
      drain: (socket) => socket.data.flush(),
      close: (socket) => void open.delete(socket.data),
      error: () => {},
    },
  });
  const close = (): void => {
    for (const wire of open) wire.reset();
    listener.stop(true);
  };
  return {
    url: `${tls ? "https" : "http"}://127.0.0.1:${listener.port}`,
    port: listener.port,
    requests,
    connections: () => opened,
    arrived: (count) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (requests.length < count) return;
          waiting.delete(look);
          resolve(requests.slice(0, count));
        };
        waiting.add(look);
        look();
      }),
    close,
    [Symbol.dispose]: close,
  };
}

async function perform(injected: Injection, wire: Wire, request: Received, own: Service): Promise<void> {
  const service: Service = async (asked) => {
    const answer = await own(asked);
    request.answered = answer.status;
    return answer;
  };
  if (injected === "normal") return wire.answer(await service(request));
  if (injected === "reset") return wire.reset();
  if (injected === "garbage") return wire.raw("SSH-2.0-OpenSSH_9.6\r\n\r\n");
  if (injected === "accept-then-reset") {
    await service(request);
    return wire.reset();
  }
  if (injected === "truncate") {
    const { status, body = "" } = await service(request);
    return wire.raw(`HTTP/1.1 ${status} OK\r\nContent-Length: ${body.length + 100}\r\n\r\n${body.slice(0, 1)}`);
  }
  if (typeof injected === "number") return wire.answer({ status: injected });
  if ("redirect" in injected) return wire.answer({ status: 302, headers: { Location: injected.redirect } });
  if ("gate" in injected) {
    await injected.gate.opened;
    return await perform(injected.after ?? "normal", wire, request, own);
  }
  wire.answer(injected);
}

/** One connection: reads requests with a Content-Length one after the other, writes answers. */
class Wire {
  readonly #socket: Socket<Wire>;
  readonly #take: (wire: Wire, request: Received) => Promise<void>;
  #unread = Buffer.alloc(0);
  #unwritten = Buffer.alloc(0);
  #ending = false;

  constructor(socket: Socket<Wire>, take: (wire: Wire, request: Received) => Promise<void>) {
    this.#socket = socket;
    this.#take = take;
  }

  read(chunk: Uint8Array): void {
    this.#unread = Buffer.concat([this.#unread, chunk]);
    const end = this.#unread.indexOf("\r\n\r\n");
    if (end < 0) return;
    const [first = "", ...lines] = this.#unread.subarray(0, end).toString("latin1").split("\r\n");
    const rawHeaders = lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()];
    });
    const headers = new Headers(rawHeaders);
    const length = Number(headers.get("content-length") ?? 0);
    if (this.#unread.length < end + 4 + length) return;
    const bytes = new Uint8Array(this.#unread.subarray(end + 4, end + 4 + length));
    this.#unread = this.#unread.subarray(end + 4 + length);
    const [method = "", target = ""] = first.split(" ");
    const [path = "", query] = target.split("?");
    const request = {
      method,
      target,
      path,
      query: new URLSearchParams(query),
      rawHeaders,
      headers,
      bytes,
      at: Date.now(),
    };
    void this.#take(this, { ...request, text: new TextDecoder().decode(bytes) });
  }

  answer({ status, headers = {}, body = "" }: Answered): void {
    const bytes = Buffer.from(body);
    const all = { "X-Request-Id": "q".repeat(26), ...headers, "Content-Length": String(bytes.length) };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
    this.#write(Buffer.concat([Buffer.from(`HTTP/1.1 ${status} Said\r\n${lines.join("\r\n")}\r\n\r\n`), bytes]));
  }

  /** Writes bytes as they are and ends the connection. */
  raw(text: string): void {
    this.#ending = true;
    this.#write(Buffer.from(text));
  }

  reset(): void {
    this.#socket.terminate();
  }

  flush(): void {
    if (this.#unwritten.length > 0) {
      const written = Math.max(0, this.#socket.write(this.#unwritten));
      this.#unwritten = this.#unwritten.subarray(written);
    }
    if (this.#ending && this.#unwritten.length === 0) this.#socket.end();
  }

  #write(bytes: Buffer): void {
    this.#unwritten = Buffer.concat([this.#unwritten, bytes]);
    this.flush();
  }
}
