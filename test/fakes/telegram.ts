import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";
import { type Answered, type Injection, openRemote, type Received } from "./remote.ts";
import { carelessness, isWebLink, json, onlyKeys, strictObject } from "./strict.ts";

export interface TelegramMessage {
  id: number;
  body: JsonObject;
  edits: number;
  /** What it answers. */
  answers: number | null;
}

export const token = "7123456789:AAF0123456789abcdefghijklmnopqrstuv";
export const chat = -1001234509876;

/** The Bot API with one bot in one chat. */
export function openTelegram({ script = [] }: { script?: Injection[] } = {}) {
  const messages = new Map<number, TelegramMessage>();
  const faults: string[] = [];
  let last = 4000;

  const send = (body: JsonObject): Answered => {
    const answers = isObject(body.reply_parameters) ? Number(body.reply_parameters.message_id) : null;
    if (answers !== null && !messages.has(answers)) return refusal(400, "Bad Request: message to be replied not found");
    const id = ++last;
    messages.set(id, { id, body, edits: 0, answers });
    return done(id);
  };
  const edit = (body: JsonObject): Answered => {
    const message = messages.get(Number(body.message_id));
    if (!message) return refusal(400, "Bad Request: message to edit not found");
    if (shown(message.body) === shown(body)) return refusal(400, notModified);
    message.body = body;
    message.edits++;
    return done(message.id);
  };

  const service = (request: Received): Answered => {
    const [, said, method] = /^\/bot(\d+:[\w-]{35})\/(\w+)$/.exec(request.path) ?? [];
    if (said === undefined) return refusal(404, "Not Found");
    if (said !== token) return refusal(401, "Unauthorized");
    if (request.method === "GET" && method === "getMe")
      return json(200, { ok: true, result: { id: 7_123_456_789, is_bot: true } });
    if (request.method !== "POST" || !(method === "sendMessage" || method === "editMessageText"))
      return refusal(404, "Not Found: method not found");
    let body: JsonObject;
    try {
      const careless = carelessness(request, "chat");
      if (careless) throw new Error(careless);
      body = strictObject(request.text);
      check(body, method === "sendMessage" ? sendKeys : editKeys);
    } catch (error) {
      const why = error instanceof Error ? error.message : "bad body";
      faults.push(why);
      return refusal(400, `Bad Request: ${why}`);
    }
    if (body.chat_id !== chat) return refusal(400, "Bad Request: chat not found");
    return method === "sendMessage" ? send(body) : edit(body);
  };

  const { url, requests, arrived, close } = openRemote({ service, script });
  const list = () => [...messages.values()];
  const forget = () => messages.clear();
  return { url, messages: list, forget, requests, faults, arrived, close, [Symbol.dispose]: close };
}

export const notModified =
  "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message";

export const refusal = (status: number, description: string, parameters?: JsonObject): Answered =>
  json(status, { ok: false, error_code: status, description, ...(parameters && { parameters }) });

const done = (message_id: number): Answered =>
  json(200, { ok: true, result: { message_id, date: 1_795_000_000, chat: { id: chat, type: "supergroup" } } });

const shown = ({ text, entities }: JsonObject): string => JSON.stringify([text, entities ?? []]);

/** What the server would make a link, a mention, a tag or a command of, outside code and the links that we made. */
export function activeIn({ text, entities }: JsonObject, links: string[]): string[] {
  let read = String(text);
  for (const entity of Array.isArray(entities) ? entities.filter(isObject) : []) {
    const { type, offset, length, url } = entity;
    if (type === "text_link" && !links.includes(String(url))) return [String(url)];
    if (type === "bold") continue;
    const [from, to] = [Number(offset), Number(offset) + Number(length)];
    read = `${read.slice(0, from)}${" ".repeat(to - from)}${read.slice(to)}`;
  }
  for (const link of links) read = read.replaceAll(link, "");
  return read.match(/@\w+|(?<![\p{L}\p{N}_])[#$][\p{L}_]+|(?<![\p{L}\p{N}])\/\w+|:\/\/|[\w-]+\.[a-z]{2,}/giu) ?? [];
}

const common = ["chat_id", "text", "entities", "parse_mode", "link_preview_options"];
const sendKeys = [...common, "message_thread_id", "reply_parameters", "disable_notification"];
const editKeys = [...common, "message_id"];

function check(body: JsonObject, keys: string[]): void {
  onlyKeys(body, keys, "the message");
  const { chat_id, text, entities, parse_mode, disable_notification } = body;
  if (!Number.isInteger(chat_id) && !/^@\w{4,}$/.test(String(chat_id))) throw new Error("chat_id");
  if (typeof text !== "string" || text.trim() === "") throw new Error("message text is empty");
  if (text.length > 4096) throw new Error("message is too long");
  if (text.trim() !== text) throw new Error("the server would trim this text and move its entities");
  if (disable_notification !== undefined && typeof disable_notification !== "boolean") throw new Error("notification");
  if (parse_mode !== undefined) throw new Error("can't parse entities: this client sends entities");
  if (entities === undefined) return;
  if (!Array.isArray(entities) || entities.length > 100) throw new Error("entities");
  let end = 0;
  for (const entity of entities) end = checkEntity(entity, text, end);
}

function checkEntity(entity: Json, text: string, after: number): number {
  if (!isObject(entity)) throw new Error("an entity is no object");
  const { type, offset, length, url } = entity;
  onlyKeys(entity, ["type", "offset", "length", ...(type === "text_link" ? ["url"] : [])], "an entity");
  if (!["bold", "italic", "code", "pre", "text_link"].includes(String(type))) throw new Error(`entity ${String(type)}`);
  if (typeof offset !== "number" || typeof length !== "number" || length < 1) throw new Error("an entity's place");
  if (offset < after || offset + length > text.length) throw new Error("an entity beyond the text, or over another");
  const part = text.slice(offset, offset + length);
  if (!part.isWellFormed() || part.trim() !== part) throw new Error("an entity cuts a character, or ends in a blank");
  if (type === "text_link" && !isWebLink(url)) throw new Error("a text_link that is not http(s)");
  return offset + length;
}
