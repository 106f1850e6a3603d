import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";
import { type Answered, type Injection, openRemote, type Received, type Remote } from "./remote.ts";
import { carelessness, isWebLink, json, onlyKeys, strictObject } from "./strict.ts";

export interface GoogleChat extends Disposable {
  /** The webhook's address, key and token in its query, which is the secret. */
  url: string;
  /** The bodies that became messages, oldest first. */
  posts: JsonObject[];
  /** The names of the messages' threads, one for each of `posts`. */
  threads: string[];
  requests: Received[];
  /** What a strict server held against us; a good client leaves it empty. */
  faults: string[];
  arrived: Remote["arrived"];
  close(): void;
}

export interface GoogleChatOptions {
  /** What happens to the first requests, one each; then the server is itself. */
  script?: Injection[];
  /** The webhook or its space is gone. */
  deleted?: boolean;
  /** The key or the token was taken back. */
  revoked?: boolean;
}

interface Made {
  name: string;
  thread: string;
}

/** A Google Chat space with one incoming webhook, as strict as the real one and stricter where that is lenient in silence. */
export function openGoogleChat(options: GoogleChatOptions = {}): GoogleChat {
  const key = `AIza${random(26).replace(/[^A-Za-z0-9]/g, "x")}`;
  const token = `${random(31).replace(/[+/=]/g, "-")}=`; // its last sign has to be encoded
  const path = "/v1/spaces/AAAAbuilds01/messages";
  const query = `key=${key}&token=${encodeURIComponent(token)}`;
  const posts: JsonObject[] = [];
  const threads: string[] = [];
  const faults: string[] = [];
  const byRequest = new Map<string, Made>();
  const byThreadKey = new Map<string, string>();
  const fault = (why: string): Answered => {
    faults.push(why);
    return refusal(400, "INVALID_ARGUMENT", why);
  };

  const make = (body: JsonObject, option: string | null): Made => {
    const threadKey = isObject(body.thread) ? body.thread.threadKey : undefined;
    const known = typeof threadKey === "string" && option ? byThreadKey.get(threadKey) : undefined;
    const thread = known ?? `spaces/AAAAbuilds01/threads/T${byThreadKey.size + threads.length}`;
    if (typeof threadKey === "string" && option) byThreadKey.set(threadKey, thread);
    if (typeof threadKey === "string" && !option) faults.push("a thread key without the option is ignored");
    posts.push(body);
    threads.push(thread);
    return { name: `spaces/AAAAbuilds01/messages/M${posts.length}.M${posts.length}`, thread };
  };

  const service = (request: Received): Answered => {
    if (request.method !== "POST" || request.path !== path || options.deleted)
      return refusal(404, "NOT_FOUND", "Requested entity was not found.");
    if (request.query.get("key") !== key)
      return refusal(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers.");
    if (request.query.get("token") !== token || options.revoked)
      return refusal(401, "UNAUTHENTICATED", "The request is missing a valid API key.");
    if (!request.target.startsWith(`${path}?${query}`)) return fault("the address did not arrive as it was given");
    const careless = carelessness(request, "chat");
    if (careless) return fault(careless);
    if (request.bytes.length > 32_000) return refusal(400, "INVALID_ARGUMENT", "Message is too long.");
    const option = request.query.get("messageReplyOption");
    let body: JsonObject;
    try {
      body = strictObject(request.text);
      checkQuery(request.query, body);
      checkMessage(body);
    } catch (error) {
      return fault(error instanceof Error ? error.message : "bad body");
    }
    const id = request.query.get("requestId");
    const made = (id !== null && byRequest.get(id)) || make(body, option);
    if (id !== null) byRequest.set(id, made);
    return json(200, { name: made.name, thread: { name: made.thread }, space: { name: "spaces/AAAAbuilds01" } });
  };

  const { url, requests, arrived, close } = openRemote({ service, script: options.script ?? [] });
  return { url: `${url}${path}?${query}`, posts, threads, requests, faults, arrived, close, [Symbol.dispose]: close };
}

/** What in a message would mention people, make a link or be markup of untrusted text; a good client's messages have none. */
export function mentionsIn(body: JsonObject): string[] {
  const { text = "", fallbackText = "", cardsV2 = [] } = body;
  const ours = /<https?:\/\/[^<>|\s]+\|(log|issue)>/g;
  const plain = [text, fallbackText].filter((said) => typeof said === "string").map((said) => said.replace(ours, ""));
  return [
    ...plain.flatMap((said) => found(said, [/<users\//, /<[^<>|\u200B][^<>|]*\|/, /:\/\//, /<[a-z!@]/i])),
    ...cardTexts(cardsV2).flatMap((said) => found(said, [/</, />/, /&(?!(amp|lt|gt);)/, /:\/\//])),
  ];
}

const found = (text: string, patterns: RegExp[]): string[] => patterns.flatMap((one) => one.exec(text)?.[0] ?? []);

function cardTexts(value: Json, name = ""): string[] {
  if (typeof value === "string") return ["title", "subtitle", "text", "topLabel"].includes(name) ? [value] : [];
  if (Array.isArray(value)) return value.flatMap((inner) => cardTexts(inner));
  return value && typeof value === "object"
    ? Object.entries(value).flatMap(([key, inner]) => cardTexts(inner, key))
    : [];
}

const random = (bytes: number) => Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString("base64");

const refusal = (code: number, status: string, message: string): Answered =>
  json(code, { error: { code, message, status } });

function checkQuery(query: URLSearchParams, body: JsonObject): void {
  for (const name of query.keys()) {
    if (!["key", "token", "messageReplyOption", "requestId"].includes(name))
      throw new Error(`unknown parameter ${name}`);
    if (query.getAll(name).length > 1) throw new Error(`${name} came twice`);
  }
  const option = query.get("messageReplyOption");
  if (option === null) return;
  if (!/^REPLY_MESSAGE_(FALLBACK_TO_NEW_THREAD|OR_FAIL)$/.test(option)) throw new Error("messageReplyOption");
  if (!isObject(body.thread)) throw new Error("messageReplyOption without a thread");
}

function checkMessage(body: JsonObject): void {
  onlyKeys(body, ["text", "cardsV2", "fallbackText", "thread"], "the message");
  const { text, cardsV2, fallbackText, thread } = body;
  if (!isText(text) && cardsV2 === undefined) throw new Error("Message cannot be empty");
  if (text !== undefined && !(isText(text) && text.length <= 4096)) throw new Error("text");
  if (fallbackText !== undefined && !isText(fallbackText)) throw new Error("fallbackText");
  if (thread !== undefined) {
    if (!isObject(thread)) throw new Error("thread");
    onlyKeys(thread, ["threadKey", "name"], "the thread");
    if (thread.name === undefined && !(isText(thread.threadKey) && thread.threadKey.length <= 4000))
      throw new Error("threadKey");
  }
  if (cardsV2 === undefined) return;
  const cards = list(cardsV2, "cardsV2");
  const ids = cards.map((card) => (isObject(card) ? card.cardId : null));
  if (!ids.every(isText) || new Set(ids).size < ids.length) throw new Error("cardId");
  for (const each of cards) {
    if (!isObject(each) || !isObject(each.card)) throw new Error("a card is not an object");
    onlyKeys(each, ["cardId", "card"], "a card with its id");
    checkCard(each.card);
  }
}

function checkCard(card: JsonObject): void {
  onlyKeys(card, ["header", "sections"], "a card");
  if (card.header !== undefined) {
    if (!isObject(card.header) || !isText(card.header.title)) throw new Error("a header without a title");
    onlyKeys(card.header, ["title", "subtitle"], "a header");
  }
  for (const section of list(card.sections, "sections")) {
    if (!isObject(section)) throw new Error("a section is not an object");
    onlyKeys(section, ["header", "widgets"], "a section");
    list(section.widgets, "widgets").forEach(checkWidget);
  }
}

function checkWidget(widget: Json): void {
  if (!isObject(widget) || Object.keys(widget).length !== 1) throw new Error("a widget is not exactly one thing");
  const { textParagraph, decoratedText, buttonList } = widget;
  if (isObject(textParagraph)) {
    onlyKeys(textParagraph, ["text"], "a textParagraph");
    if (!isText(textParagraph.text)) throw new Error("a textParagraph without text");
  } else if (isObject(decoratedText)) {
    onlyKeys(decoratedText, ["topLabel", "text", "bottomLabel", "wrapText"], "a decoratedText");
    if (!isText(decoratedText.text)) throw new Error("a decoratedText without text");
  } else if (isObject(buttonList)) {
    onlyKeys(buttonList, ["buttons"], "a buttonList");
    for (const button of list(buttonList.buttons, "buttons")) checkButton(button);
  } else throw new Error(`the widget ${Object.keys(widget)[0]}`);
}

function checkButton(button: Json): void {
  if (!isObject(button) || !isText(button.text)) throw new Error("a button without text");
  onlyKeys(button, ["text", "onClick"], "a button");
  const link = isObject(button.onClick) ? button.onClick.openLink : undefined;
  if (!isObject(link) || !isWebLink(link.url)) throw new Error("a button without a web link");
}

function list(value: Json | undefined, name: string): Json[] {
  if (!Array.isArray(value) || value.length === 0) throw new Error(`${name} is not a list of any`);
  return value;
}

const isText = (value: Json | undefined): value is string => typeof value === "string" && value !== "";
