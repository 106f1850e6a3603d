import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";
import { type Answered, type Injection, openRemote, type Received } from "./remote.ts";
import { carelessness, isWebLink, json, onlyKeys, strictObject } from "./strict.ts";

export interface Notification {
  /** What was published last under this sequence id. */
  body: JsonObject;
  edits: number;
}

export interface NtfyOptions {
  /** What happens to the first requests, one each; then the server is itself. */
  script?: Injection[];
  /** A server before 2.16, which knows no sequence ids. */
  old?: boolean;
  /** Anybody may publish. */
  open?: boolean;
}

export const token = "tk_0123456789abcdefghij0123456ab";
export const topic = "acme-builds";

/** An ntfy server with one topic, and what a phone that follows it shows. */
export function openNtfy({ script = [], old = false, open = false }: NtfyOptions = {}) {
  const shown = new Map<string, Notification>();
  const faults: string[] = [];
  let count = 0;

  const service = (request: Received): Answered => {
    if (request.path !== "/" || request.method !== "POST") return refusal(404, 40401, "page not found");
    const said = request.headers.get("authorization");
    if (said !== null && said !== `Bearer ${token}`) return refusal(401, 40101, "unauthorized");
    if (said === null && !open) return refusal(403, 40301, "forbidden");
    let body: JsonObject;
    try {
      const careless = carelessness(request, "chat");
      if (careless) throw new Error(careless);
      body = strictObject(request.text);
      check(body);
    } catch (error) {
      faults.push(error instanceof Error ? error.message : "bad body");
      return refusal(400, 40024, "invalid request: request body must be valid JSON");
    }
    if (body.topic !== topic) return refusal(403, 40301, "forbidden");
    const id = `m${String(++count).padStart(11, "0")}`;
    const sequence = old || body.sequence_id === undefined ? id : String(body.sequence_id);
    const before = shown.get(sequence);
    shown.set(sequence, { body, edits: before ? before.edits + 1 : 0 });
    return json(200, { id, time: 1_795_000_000 + count, expires: 1_795_043_200, event: "message", topic });
  };

  const { url, requests, arrived, close } = openRemote({ service, script });
  const messages = () => [...shown.values()];
  return { url, messages, requests, faults, arrived, close, [Symbol.dispose]: close };
}

export const refusal = (http: number, code: number, error: string, headers: Record<string, string> = {}): Answered =>
  json(http, { code, http, error, link: "https://ntfy.sh/docs/publish/" }, headers);

/** What a phone would make a link of, besides those that we made. */
export function activeIn({ title, message, click, actions }: JsonObject, links: string[]): string[] {
  const tapped = [click, ...(Array.isArray(actions) ? actions.map((action) => isObject(action) && action.url) : [])];
  let read = `${String(title ?? "")}\n${String(message)}`;
  for (const link of links) read = read.replaceAll(link, "");
  const strange = tapped.filter((url) => url !== undefined && !links.includes(String(url))).map(String);
  return [...strange, ...(read.match(/@\w+|:\/\/|www\./gi) ?? [])];
}

function check(body: JsonObject): void {
  onlyKeys(body, ["topic", "title", "message", "priority", "tags", "click", "actions", "sequence_id"], "the message");
  const { title, message, priority, tags, click, actions, sequence_id } = body;
  if (!/^[-_A-Za-z0-9]{1,64}$/.test(String(body.topic))) throw new Error("topic");
  if (sequence_id !== undefined && !/^[-_A-Za-z0-9]{1,64}$/.test(String(sequence_id))) throw new Error("sequence_id");
  if (typeof message !== "string" || message === "") throw new Error("message");
  if (Buffer.byteLength(message) > 4096) throw new Error("the server would make an attachment of this message");
  if (title !== undefined && (typeof title !== "string" || /[\r\n]/.test(title))) throw new Error("title");
  if (priority !== undefined && ![1, 2, 3, 4, 5].includes(Number(priority))) throw new Error("priority");
  if (tags !== undefined && !(Array.isArray(tags) && tags.every((tag) => typeof tag === "string")))
    throw new Error("tags");
  if (click !== undefined && !isWebLink(click)) throw new Error("click");
  if (actions !== undefined && !(Array.isArray(actions) && actions.length <= 3 && actions.every(isView)))
    throw new Error("actions");
}

const isView = (action: Json): boolean =>
  isObject(action) && action.action === "view" && typeof action.label === "string" && isWebLink(action.url);
