// A client in a process of its own, so that it is not the limit of what it measures: bun bench/load.ts '<JSON of LoadAsk>'
// prints the JSON of a LoadResult. Raw sockets, one request under way per connection, each with an issue key of its own.
import { percentile } from "./machine.ts";

export interface LoadAsk {
  port: number;
  path: string;
  header: string;
  token: string;
  connections: number;
  warm_ms: number;
  measure_ms: number;
  /** Speaks TLS, and believes every certificate. */
  tls?: boolean;
  /** Makes a new connection for every request. */
  fresh?: boolean;
  /** The body of the request of one issue; `MOB-0000000` in it is replaced by the issue's own key. */
  body: string;
}

export interface LoadResult {
  accepted: number;
  /** Answers that were not 200, and connections that broke. */
  refused: number;
  per_second: number;
  p50_ms: number;
  p99_ms: number;
}

/** A delivery of Jira's own data that asks for a build. */
export const delivery = JSON.stringify({
  event: "build",
  issue: { key: "MOB-0000000" },
  project: "MOB",
  status: "Ready for build",
  labels: "ci-build",
  summary: "Make the splash screen faster",
  actor: "Robin Example",
  ref: "main",
});

const placeholder = "MOB-0000000";
const digits = 7;

/** Posts as fast as the answers come, and counts those that came within the measured time. */
export async function load(ask: LoadAsk): Promise<LoadResult> {
  const begin = performance.now() + ask.warm_ms;
  const end = begin + ask.measure_ms;
  const latencies: number[] = [];
  let refused = 0;
  let issue = 0;

  const one = async (): Promise<void> => {
    do await connection();
    while (ask.fresh && performance.now() < end);
  };

  const connection = () =>
    new Promise<void>((done) => {
      const { request, number } = requestFor(ask);
      const beganAt = performance.now();
      let isDone = false;
      let sentAt = 0;
      let unsent = 0;
      let answer = "";
      const write = (socket: Bun.Socket<undefined>) => {
        unsent += socket.write(request, unsent);
      };
      const next = (socket: Bun.Socket<undefined>) => {
        if (performance.now() >= end) return void socket.end();
        request.write(String(++issue).padStart(digits, "0"), number, "latin1");
        answer = "";
        unsent = 0;
        sentAt = ask.fresh ? beganAt : performance.now();
        write(socket);
      };
      const settle = (ok: boolean) => {
        const now = performance.now();
        if (now < begin || now > end) return;
        if (ok) latencies.push(now - sentAt);
        else refused++;
      };
      Bun.connect({
        hostname: "127.0.0.1",
        port: ask.port,
        ...(ask.tls && { tls: { rejectUnauthorized: false } }),
        socket: {
          ...(ask.tls ? { handshake: next } : { open: next }),
          drain: (socket) => {
            if (unsent < request.length) write(socket);
          },
          data: (socket, bytes) => {
            answer += bytes.toString("latin1");
            if (!isWhole(answer)) return;
            settle(answer.startsWith("HTTP/1.1 200"));
            isDone = ask.fresh === true;
            if (isDone) socket.end();
            else next(socket);
          },
          // The server hung up, which it has no reason to.
          close: () => {
            if (!isDone && performance.now() < end) settle(false);
            done();
          },
        },
      }).catch(() => {
        settle(false);
        done();
      });
    });

  await Promise.all(Array.from({ length: ask.connections }, one));
  return {
    accepted: latencies.length,
    refused,
    per_second: Math.round(latencies.length / (ask.measure_ms / 1000)),
    p50_ms: Number(percentile(latencies, 50).toFixed(3)),
    p99_ms: Number(percentile(latencies, 99).toFixed(3)),
  };
}

/** One buffer per connection: a request differs from the last one in the digits of its issue alone. */
function requestFor({ port, path, header, token, body }: LoadAsk): { request: Buffer; number: number } {
  const head = [
    `POST ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    `${header}: ${token}`,
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  const request = Buffer.from(`${head.join("\r\n")}\r\n\r\n${body}`);
  const number = request.indexOf(placeholder) + placeholder.length - digits;
  if (number < 0 || request.indexOf(placeholder, number) >= 0) throw new Error("the body needs one MOB-0000000");
  return { request, number };
}

function isWhole(answer: string): boolean {
  const head = answer.indexOf("\r\n\r\n");
  if (head < 0) return false;
  const length = /\r\ncontent-length: *(\d+)/i.exec(answer.slice(0, head));
  return answer.length >= head + 4 + Number(length?.[1] ?? 0);
}

if (import.meta.main) {
  const ask: LoadAsk = JSON.parse(process.argv[2] ?? "{}");
  process.stdout.write(`${JSON.stringify(await load(ask))}\n`);
}
