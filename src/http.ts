import { readFile } from "node:fs/promises";
import { ofetch } from "ofetch";
import { MeshError } from "./core/error.ts";
import { isObject } from "./core/json.ts";
import type { Outbound } from "./core/outbound.ts";
import type { Post, Reply } from "./core/post.ts";
import { exactMask } from "./core/redact.ts";
import { type Live, Secret } from "./core/secret.ts";
import { standardSignature } from "./core/standard-webhooks.ts";
import { isLoopback } from "./core/units.ts";
import { version } from "./version.ts";

export interface Call {
  method: string;
  url: string;
  /** Path of a Unix socket to speak over; the URL's host is then only a name. */
  unix?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  /** Bearer token, put into `Authorization` here. */
  bearer?: Secret;
  /** By which way, as every outbound entry of the configuration says it. */
  way?: Way;
  /** Whether a connection that was used before may serve; it may have been closed at the other end just now. */
  keepalive?: boolean;
  timeout_ms: number;
  signal?: AbortSignal;
}

/** What of an outbound entry decides how its other side is reached. */
export type Way = Pick<Outbound, "proxy" | "ca_file" | "client_cert" | "client_key" | "allow_http">;

export interface Answer {
  status: number;
  headers: Headers;
  bytes: Uint8Array;
}

/** Why no reply came. `maybeSent` is false only when the request cannot have reached the other side. */
export interface Failure {
  code: string;
  maybeSent: boolean;
  why: string;
}

/** What became of a post that was tried; `place` names the target by host and the last four characters of its URL. */
export type Sent = { place: string } & (
  | {
      reply: Reply;
      /** Counts the reply as a success of the secrets that it was got with; only its judge knows whether it is one. */
      taken?: () => void;
    }
  | { failure: Failure }
);

const userAgent = `meshmac/${version}`;

/**
 * Makes one request and answers whatever status came back; follows no redirect. Throws `unavailable` when no complete answer
 * came in time, and `config` where it cannot be asked at all: plain http:// to another machine without `allow_http`, a file
 * of `way` that cannot be read. No message holds the URL.
 */
export async function call({ bearer, ...asked }: Call): Promise<Answer> {
  const lives = bearer?.lives() ?? [];
  for (const [turn, live] of lives.entries()) {
    const answer = await callOnce(asked, live.text.trim());
    live.used(answer.status === 401);
    // A value that is staged may not be valid yet: until it is committed, the one before it is.
    if (answer.status !== 401 || turn === lives.length - 1) return answer;
  }
  return await callOnce(asked);
}

async function callOnce(asked: Omit<Call, "bearer">, token?: string): Promise<Answer> {
  const { method, url, unix, headers, body, way, ...how } = asked;
  const { host, hostname, protocol } = new URL(url);
  if (unix === undefined && protocol === "http:" && !isLoopback(hostname) && !way?.allow_http)
    throw new MeshError("config", `${host} is plain http`, { hint: "use https, or say allow_http: true" });
  const tls = way ? await tlsOf(way).catch(unreadable) : {};
  const timeout = AbortSignal.timeout(how.timeout_ms);
  const authorization = token !== undefined && { authorization: `Bearer ${token}` };
  try {
    const response = await ofetch.raw<unknown, "stream">(url, {
      method,
      headers: { "user-agent": userAgent, ...headers, ...authorization },
      ...(body !== undefined && { body }),
      ...always,
      responseType: "stream",
      signal: how.signal ? AbortSignal.any([how.signal, timeout]) : timeout,
      ...(how.keepalive === false && { keepalive: false }),
      ...(unix !== undefined && { unix }),
      ...(way?.proxy !== undefined && { proxy: way.proxy }),
      ...(Object.keys(tls).length > 0 && { tls }),
    });
    const bytes = new Uint8Array(await response.arrayBuffer());
    return { status: response.status, headers: response.headers, bytes };
  } catch (error) {
    throw new MeshError("unavailable", `no answer from ${unix ? "the socket" : host} (${codeOf(error)})`);
  }
}

function unreadable(error: unknown): never {
  throw new MeshError("config", `a certificate or key file could not be read (${codeOf(error)})`, {
    hint: "check ca_file, client_cert and client_key",
  });
}

/**
 * Sends a described request once and answers the reply, whatever its status, or why there is none. Never throws, never
 * follows a redirect, never retries. Refuses plain http:// to anything but loopback unless `allow_http`.
 */
export async function sendPost(post: Post, outbound: Outbound): Promise<Sent> {
  const end = performance.now() + outbound.timeout;
  const first = await sendOnce(post, outbound, 0);
  if (!("reply" in first) || first.reply.status !== 401 || !hasAnother(post)) return first;
  // A value that is staged may not be valid yet: until it is committed, the one before it is.
  const timeout = Math.max(1, Math.round(end - performance.now()));
  return await sendOnce(post, { ...outbound, timeout }, 1);
}

/** Sends with the first values of its secrets, or where `turn` is 1 and there are two, with the second. */
async function sendOnce(post: Post, outbound: Outbound, turn: 0 | 1): Promise<Sent> {
  let place = nameOf(post);
  const refused = (code: string, why: string): Sent => ({ place, failure: { code, maybeSent: false, why } });
  let url: string;
  let headers: Record<string, string>;
  let body: string | undefined;
  const { shown, told } = choice(turn);
  try {
    body = bodyOf(post, shown);
    url = [post.url].flat().map(shown).join("");
    place = placeOf(url);
    headers = { ...headersOf(post, shown), ...signatureOf(post, body ?? "", told) };
  } catch (error) {
    return refused("secret", error instanceof MeshError ? error.message : "a secret could not be read");
  }
  const target = URL.parse(url);
  if (!target || !/^https?:$/.test(target.protocol)) return refused("bad_url", `${nameOf(post)} is not an http(s) URL`);
  if (target.protocol === "http:" && !isLoopback(target.hostname) && !outbound.allow_http)
    return refused("plain_http", `${place} is plain http; use https, or say allow_http: true`);
  const refusal = post.refuse?.(target);
  if (refusal) return refused("bad_url", `${place}: ${refusal}`);
  let tls: Tls;
  try {
    tls = await tlsOf(outbound);
  } catch (error) {
    return refused("tls_file", `a certificate or key file could not be read (${codeOf(error)})`);
  }
  try {
    const response = await ofetch.raw<unknown, "stream">(url, {
      method: post.method,
      headers,
      ...(body !== undefined && { body }),
      ...always,
      responseType: "stream",
      signal: AbortSignal.timeout(outbound.timeout),
      // A pooled connection that the other side has just closed fails like a request that was sent: posts get their own.
      keepalive: false,
      ...(outbound.proxy !== undefined && { proxy: outbound.proxy }),
      ...(Object.keys(tls).length > 0 && { tls }),
    });
    const text = await textUpTo(post.method === "GET" ? longestListing : longestReply, response.body);
    // A refusal may quote the very secret that it refuses (Mattermost names the hook): nobody past this point sees it.
    const safe = post.method === "GET" ? text : exactMask(secretsOf(post))(text);
    for (const live of told) live.used(response.status === 401);
    const taken = () => told.forEach((live) => live.taken());
    return { place, reply: { status: response.status, headers: response.headers, text: safe }, taken };
  } catch (error) {
    const code = codeOf(error);
    const maybeSent = !neverSent.test(code);
    return {
      place,
      failure: { code, maybeSent, why: `no ${maybeSent ? "answer from" : "connection to"} ${place} (${code})` },
    };
  }
}

const always = { retry: 0, redirect: "manual", ignoreResponseError: true } as const;
const longestReply = 64 * 1024;
const longestListing = 2 * 1024 * 1024; // a page of comments, in which we look for our marker
// Codes of Bun 1.4.5, measured: what fails before the request leaves. A timeout or a reset may come after it was read.
const neverSent =
  /^(ECONNREFUSED|ConnectionRefused|ENOTFOUND|EAI_\w+|DNS\w*|ENOENT|ENETUNREACH|EHOSTUNREACH|FailedToOpenSocket|EPROTO|invalid_request|DEPTH_ZERO_\w+|SELF_SIGNED_\w+|UNABLE_TO_\w+|CERT_\w+|ERR_TLS_\w+|HOSTNAME_MISMATCH|INVALID_\w+)$/;

export interface Tls {
  ca?: string;
  cert?: string;
  key?: string;
}

/** Reads the certificates and the key of a way; throws what reading a file throws. */
export async function tlsOf({ ca_file, client_cert, client_key }: Way): Promise<Tls> {
  const [ca, cert, key] = await Promise.all([ca_file, client_cert, client_key].map(read));
  return { ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) };
}

const read = async (path: string | undefined) => (path === undefined ? undefined : await readFile(path, "utf8"));

type Shown = (value: Secret | string) => string;

/** Shows one value of every secret, and remembers which ones were shown. */
function choice(turn: 0 | 1): { shown: Shown; told: Live[] } {
  const told: Live[] = [];
  const shown = (value: Secret | string): string => {
    if (typeof value === "string") return value;
    const lives = value.lives();
    const live = lives[turn] ?? lives[0];
    if (!live) throw new MeshError("bug", `secret ${value.name} has no value`);
    if (!told.some(({ keyId, text }) => keyId === live.keyId && text === live.text)) told.push(live);
    return live.text.trim();
  };
  return { shown, told };
}

function headersOf({ headers, basic, bearer, body }: Post, shown: Shown): Record<string, string> {
  const all: Record<string, string> = { "user-agent": userAgent, accept: "application/json, text/plain" };
  if (body !== undefined) all["content-type"] = "application/json";
  for (const [name, value] of Object.entries(headers ?? {})) all[name.toLowerCase()] = shown(value);
  if (bearer) all.authorization = `Bearer ${shown(bearer)}`;
  if (basic) all.authorization = `Basic ${Buffer.from(`${basic.user}:${shown(basic.password)}`).toString("base64")}`;
  return all;
}

function bodyOf({ body, bodySecrets }: Post, shown: Shown): string | undefined {
  if (!bodySecrets || !isObject(body)) return body === undefined ? undefined : JSON.stringify(body);
  const secrets = Object.entries(bodySecrets).map(([name, value]) => [name, shown(value)]);
  return JSON.stringify({ ...body, ...Object.fromEntries(secrets) });
}

/** Signs with every value there is: for the time of a rotation a receiver may know either, and takes any that it knows. */
function signatureOf({ sign }: Post, body: string, told: Live[]): Record<string, string> {
  if (!sign) return {};
  const timestamp = Math.floor(Date.now() / 1000);
  const lives = sign.key.lives();
  told.push(...lives);
  const signed = lives.map(({ text }) => standardSignature(text.trim(), { id: sign.id, timestamp, body }));
  return {
    "webhook-id": sign.id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": signed.join(" "),
  };
}

/** Every secret that is shown as it stands; a signature shows none. */
const shownIn = ({ url, headers, basic, bearer, bodySecrets }: Post): Secret[] =>
  [...[url].flat(), basic?.password, bearer, ...Object.values({ ...headers, ...bodySecrets })].filter(
    (value) => value instanceof Secret,
  );

const hasAnother = (post: Post): boolean => shownIn(post).some((secret) => secret.lives().length > 1);

const secretsOf = (post: Post): string[] =>
  [...shownIn(post), ...(post.sign ? [post.sign.key] : [])].flatMap((secret) =>
    secret.lives().map(({ text }) => text.trim()),
  );

async function textUpTo(limit: number, body: ReadableStream<Uint8Array> | null): Promise<string> {
  if (!body) return "";
  const decoder = new TextDecoder();
  let text = "";
  let left = limit;
  // Leaving the loop cancels the stream, so a reply without an end costs us no more than this.
  for await (const chunk of body) {
    text += decoder.decode(chunk.subarray(0, left), { stream: true });
    left -= chunk.length;
    if (left <= 0) return text;
  }
  return text + decoder.decode();
}

/** What to call a target whose URL cannot be shown. */
function nameOf({ url }: Post): string {
  const hidden = [url].flat().find((part) => part instanceof Secret);
  return hidden ? `secret ${hidden.name}` : "the address";
}

/** Host and the last four characters: as much of a URL as anything of ours may say. */
function placeOf(url: string): string {
  return `${URL.parse(url)?.host || "?"} …${url.replace(/\/+$/, "").slice(-4)}`;
}

/** A word for what went wrong. Of fetch errors only this leaves: messages, `.path` and `.request` hold the URL. */
function codeOf(error: unknown): string {
  for (let here = error; here instanceof Error; here = here.cause) {
    if (here.name === "TimeoutError") return "timeout";
    if (here.name === "AbortError") return "aborted";
    if ("code" in here && typeof here.code === "string" && /^\w{1,60}$/.test(here.code)) return here.code;
    // Bun refuses a header or a method that cannot be sent with a bare TypeError.
    if (here.cause === undefined && here instanceof TypeError) return "invalid_request";
  }
  return "unknown";
}
