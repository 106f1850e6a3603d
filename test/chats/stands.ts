import { rmSync, readFileSync, writeFileSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonObject } from "../../src/core/json.ts";
import { type Answered, openRemote, type Received, type Remote } from "../fakes/remote.ts";
import { Stage } from "../gateway/stage.ts";
import { runStates } from "../../src/core/records.ts";
import type { Far } from "./columns.ts";

// How a scenario sets a chat up: on a stage, behind a proxy, behind TLS.

/** Puts the other side on a stage, as one chat that hears every state. */
export const standing = (
  { entry, texts }: Pick<Far, "entry" | "texts">,
  more: JsonObject = {},
  states: JsonObject = { states: [...runStates] },
): Promise<Stage> => Stage.open({ chats: { builds: { ...entry, ...states, ...more } }, texts });

/** Announces and sends; what a terminal chat prints is shown there. */
export const sendTo = (stage: Stage, { printed }: Pick<Far, "printed">, more: Parameters<Stage["sending"]>[0] = {}) =>
  stage.announcing().sending({ print: (line) => void printed.push(line), ...more });

/** The same chat with secrets of its own name, to stand among others. */
export function named(name: string, { entry, texts }: Pick<Far, "entry" | "texts">): Pick<Far, "entry" | "texts"> {
  const own = (secret: string): string => `${name}/${secret.replace("/", "-")}`;
  const known = JSON.stringify(entry).replace(/"(chat\/[\w.]+)"/g, (_, secret: string) => JSON.stringify(own(secret)));
  return {
    entry: JSON.parse(known) as JsonObject,
    texts: Object.fromEntries(Object.entries(texts).map(([secret, text]) => [own(secret), text])),
  };
}

const origin = /http:\/\/127\.0\.0\.1:\d+/;

/** Where the other side listens. */
export const originOf = ({ entry, texts }: Pick<Far, "entry" | "texts">): string =>
  origin.exec(JSON.stringify([entry, texts]))?.[0] ?? "";

/** The same chat, found somewhere else. */
export function movedTo({ entry, texts }: Pick<Far, "entry" | "texts">, place: string): Pick<Far, "entry" | "texts"> {
  const moved = <T>(value: T): T => JSON.parse(JSON.stringify(value).replace(origin, place)) as T;
  return { entry: moved(entry), texts: moved(texts) };
}

/** A server that hands everything on to this one, byte for byte: a proxy, or the far end of TLS. */
export function handingOn(to: string, tls?: { cert: string; key: string }): Remote {
  const service = async ({ method, target, headers, bytes }: Received): Promise<Answered> => {
    const passed = new Headers(headers);
    for (const name of ["host", "connection", "proxy-connection", "content-length"]) passed.delete(name);
    const body = Uint8Array.from(bytes);
    const answer = await fetch(target.startsWith("/") ? `${to}${target}` : target, { method, headers: passed, body });
    const type = answer.headers.get("content-type");
    return { status: answer.status, ...(type && { headers: { "Content-Type": type } }), body: await answer.text() };
  };
  return openRemote({ service, ...(tls && { tls }) });
}

/** A certificate that nobody has signed but its owner, made with openssl. */
export function selfSigned(): { tls: { cert: string; key: string }; ca_file: string; [Symbol.dispose](): void } {
  const dir = mkdtempSync(join(tmpdir(), "meshmac-tls-"));
  const [config, key, ca_file] = [join(dir, "openssl.cnf"), join(dir, "key.pem"), join(dir, "cert.pem")];
  const names = "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=critical,CA:TRUE";
  writeFileSync(
    config,
    `[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\n[dn]\nCN=localhost\n[ext]\n${names}\n`,
  );
  const made = [
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "30",
    "-keyout",
    key,
    "-out",
    ca_file,
  ];
  const { exitCode, stderr } = Bun.spawnSync(["openssl", "req", ...made, "-config", config]);
  if (exitCode !== 0) throw new Error(stderr.toString());
  const tls = { cert: readFileSync(ca_file, "utf8"), key: readFileSync(key, "utf8") };
  return { tls, ca_file, [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }) };
}
