import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Tls } from "../http.ts";
import { type Got, hungUp, nothing } from "./case.ts";
import { gotOf } from "./send.ts";

/** A request written by hand, for what no HTTP client would send. */
export interface Wire {
  url: string;
  headers: readonly (readonly [name: string, value: string])[];
  /** What is sent of the body; more may be announced in the headers. */
  body: string;
  /** Milliseconds after which we hang up. */
  within: number;
  tls?: Tls;
}

/** Sends a request as it is written and reads the answer's head and body. A connection that the other side closes has the fault `hungUp`. Never throws. */
export function sendWire({ url, headers, body, within, tls }: Wire): Promise<Got> {
  const { protocol, hostname, port, pathname, host } = new URL(url);
  const name = hostname.replace(/^\[|\]$/g, "");
  const head = [`POST ${pathname} HTTP/1.1`, `Host: ${host}`, ...headers.map((pair) => pair.join(": "))];
  const { promise, resolve } = Promise.withResolvers<Got>();
  let socket: Socket | undefined;
  let text = "";
  const end = (fault: string): void => {
    clearTimeout(timer);
    socket?.destroy();
    resolve(answerIn(text) ?? { ...nothing, fault });
  };
  const timer = setTimeout(end, within, `no answer within ${Math.round(within / 1000)} s`);
  const start = (): void => void socket?.write(`${head.join("\r\n")}\r\n\r\n${body}`, "latin1");
  socket =
    protocol === "https:"
      ? connectTls({ host: name, port: Number(port || 443), servername: isIP(name) ? "" : name, ...tls }, start)
      : connectPlain(Number(port || 80), name, start);
  socket.on("data", (data) => {
    text += data.toString("latin1");
    if (answerIn(text)) end("");
  });
  socket.on("close", () => end(hungUp));
  socket.on("error", (error) => end("code" in error && error.code !== "ECONNREFUSED" ? hungUp : "no connection"));
  return promise;
}

/** The answer, once all of it is there. */
function answerIn(text: string): Got | null {
  const [head = "", ...rest] = text.split("\r\n\r\n");
  const [first = "", ...lines] = head.split("\r\n");
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1];
  if (status === undefined || rest.length === 0) return null;
  const headers = new Headers();
  for (const line of lines) {
    const [, name, value = ""] = /^([\w-]+): *(.*)$/.exec(line) ?? [];
    if (name !== undefined) headers.append(name, value);
  }
  const body = rest.join("\r\n\r\n");
  if (body.length < Number(headers.get("content-length") ?? 0)) return null;
  return gotOf(Number(status), headers, body);
}
