import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";
import { type Answered, type Injection, openRemote, type Received } from "./remote.ts";
import { carelessness, isWebLink, json, onlyKeys, strictObject } from "./strict.ts";

export interface MatrixEvent {
  id: string;
  /** What the room shows now: the last edit's content, else its own. */
  content: JsonObject;
  edits: number;
  /** The root of the thread it stands in. */
  thread: string | null;
}

export interface MatrixOptions {
  /** What happens to the first requests, one each; then the server is itself. */
  script?: Injection[];
  /** The server lets events through that are related to nothing it knows, and shows nothing of them. */
  lenient?: boolean;
}

export const room = "!builds:acme.example";
export const token = "syt_Ym90_0123456789abcdefghij_1AbCdE";

/** A homeserver with one room that our bot has joined; keeps transactions as Synapse does. */
export function openMatrix({ script = [], lenient = false }: MatrixOptions = {}) {
  const events = new Map<string, MatrixEvent>();
  const edits = new Set<string>();
  const transactions = new Map<string, { id: string; text: string }>();
  const faults: string[] = [];
  let count = 0;
  const fault = (why: string): Answered => {
    faults.push(why);
    return refusal(400, "M_BAD_JSON", why);
  };

  const store = (content: JsonObject): Answered | string => {
    const id = `$event${count++}:acme.example`;
    const relation = isObject(content["m.relates_to"]) ? content["m.relates_to"] : null;
    const target = typeof relation?.event_id === "string" ? relation.event_id : null;
    if (target !== null && !events.has(target) && !edits.has(target) && !lenient)
      return refusal(400, "M_UNKNOWN", "Can't send relation to unknown event");
    const known = events.get(target ?? "");
    if (relation?.rel_type === "m.replace") {
      // What the spec tells clients to ignore; the server answers 200 all the same.
      if (known && isObject(content["m.new_content"])) {
        known.content = content["m.new_content"];
        known.edits++;
      } else faults.push("an edit of what is no message");
      edits.add(id);
    } else {
      if (target !== null && known?.thread !== null) faults.push("a thread under what is no root");
      events.set(id, { id, content, edits: 0, thread: target });
    }
    return id;
  };

  const service = (request: Received): Answered => {
    if (/\/r0\//.test(request.path)) return refusal(404, "M_UNRECOGNIZED", "Unrecognized request");
    if (request.method === "GET" && request.path === "/_matrix/client/v3/account/whoami")
      return request.headers.get("authorization") === `Bearer ${token}`
        ? json(200, { user_id: "@bot:acme.example" })
        : refusal(401, "M_UNKNOWN_TOKEN", "Invalid access token passed.");
    const [, where, transaction] = sendPath.exec(request.path) ?? [];
    if (where === undefined || transaction === undefined) return refusal(404, "M_UNRECOGNIZED", "Unrecognized request");
    if (request.method !== "PUT") return refusal(405, "M_UNRECOGNIZED", "Unrecognized request");
    if (request.query.has("access_token") || !request.headers.has("authorization"))
      return refusal(401, "M_MISSING_TOKEN", "Missing access token");
    if (request.headers.get("authorization") !== `Bearer ${token}`)
      return refusal(401, "M_UNKNOWN_TOKEN", "Invalid access token passed.");
    if (decodeURIComponent(where) !== room) return refusal(403, "M_FORBIDDEN", "User not in room");
    const careless = carelessness(request, "chat");
    if (careless) return fault(careless);
    const before = transactions.get(request.path);
    if (before) {
      if (before.text !== request.text) faults.push("same transaction, different body");
      return json(200, { event_id: before.id });
    }
    let content: JsonObject;
    try {
      content = strictObject(request.text);
      checkContent(content);
    } catch (error) {
      return fault(error instanceof Error ? error.message : "bad content");
    }
    const event = { type: "m.room.message", room_id: room, sender: "@bot:acme.example", content };
    if (Buffer.byteLength(JSON.stringify(event)) > 65_000) return refusal(413, "M_TOO_LARGE", "event too large");
    const id = store(content);
    if (typeof id !== "string") return id;
    transactions.set(request.path, { id, text: request.text });
    return json(200, { event_id: id });
  };

  const { url, requests, arrived, close } = openRemote({ service, script });
  const messages = () => [...events.values()];
  const forget = () => events.clear();
  return { url, messages, forget, requests, faults, arrived, close, [Symbol.dispose]: close };
}

export const limited = (body: JsonObject, headers: Record<string, string> = {}): Answered =>
  json(429, { errcode: "M_LIMIT_EXCEEDED", error: "Too Many Requests", ...body }, headers);

/** What in a content would mention somebody or be a link that is not among `links`; a good client's have none. */
export function activeIn(content: JsonObject, links: string[]): string[] {
  const html = String(content.formatted_body ?? "");
  const hrefs = [...html.matchAll(/href="([^"]*)"/g)].map(([, href = ""]) => href.replaceAll("&amp;", "&"));
  let read = `${String(content.body)}\n${html.replace(/<[^>]*>/g, " ")}`;
  for (const link of links) read = read.replaceAll(link, "");
  return [...hrefs.filter((href) => !links.includes(href)), ...(read.match(/@\w+|:\/\/|www\.|\]\(http/gi) ?? [])];
}

const sendPath = /^\/_matrix\/client\/v3\/rooms\/((?:%21|!)[^/]+)\/send\/m\.room\.message\/([^/]{1,255})$/;

const refusal = (status: number, errcode: string, error: string): Answered => json(status, { errcode, error });

function checkContent(content: JsonObject): void {
  onlyKeys(content, [...contentKeys, "m.relates_to", "m.new_content"], "the content");
  checkText(content);
  const relation = content["m.relates_to"];
  const fresh = content["m.new_content"];
  if (relation === undefined) {
    if (fresh !== undefined) throw new Error("m.new_content without m.relates_to");
    return;
  }
  if (!isObject(relation) || typeof relation.event_id !== "string") throw new Error("m.relates_to");
  if (relation.rel_type === "m.replace") {
    if (!isObject(fresh)) throw new Error("an edit without m.new_content");
    onlyKeys(fresh, contentKeys, "m.new_content");
    checkText(fresh);
    if (!String(content.body).startsWith("* ")) throw new Error("an edit without a fallback");
    return;
  }
  const answered = isObject(relation["m.in_reply_to"]) ? relation["m.in_reply_to"].event_id : undefined;
  if (relation.rel_type !== "m.thread" || relation.is_falling_back !== true || typeof answered !== "string")
    throw new Error("neither an edit nor a thread");
}

const contentKeys = ["msgtype", "body", "format", "formatted_body", "m.mentions"];

function checkText({ msgtype, body, format, formatted_body, "m.mentions": mentions }: JsonObject): void {
  if (msgtype !== "m.notice" && msgtype !== "m.text") throw new Error("msgtype");
  if (typeof body !== "string" || body === "") throw new Error("body");
  if (!isObject(mentions) || Object.keys(mentions).length > 0) throw new Error("m.mentions is not {}");
  if ((format === undefined) !== (formatted_body === undefined)) throw new Error("format without formatted_body");
  if (format === undefined) return;
  if (format !== "org.matrix.custom.html") throw new Error("format");
  checkHtml(formatted_body);
}

const tags = new Set([
  "a",
  "b",
  "blockquote",
  "br",
  "code",
  "del",
  "em",
  "i",
  "li",
  "ol",
  "p",
  "pre",
  "strong",
  "u",
  "ul",
]);

function checkHtml(html: Json | undefined): void {
  if (typeof html !== "string") throw new Error("formatted_body");
  const open: string[] = [];
  const rest = html.replace(/<(\/?)([a-z]+)((?: [a-z]+="[^"<>]*")*)>/g, (_, end: string, tag: string, more: string) => {
    if (!tags.has(tag)) throw new Error(`the tag ${tag}`);
    const [, href] = /^ href="([^"]*)"$/.exec(more) ?? [];
    if (more !== "" && (tag !== "a" || !isWebLink(href))) throw new Error(`the attributes${more}`);
    if (end === "/" && open.pop() !== tag) throw new Error(`${tag} is not open`);
    if (end === "" && tag !== "br") open.push(tag);
    return "";
  });
  if (open.length > 0) throw new Error(`${open.join()} not closed`);
  if (/[<>]|&(?!(amp|lt|gt|quot|#39);)/.test(rest)) throw new Error("raw markup");
}
