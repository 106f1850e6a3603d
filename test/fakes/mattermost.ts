import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";
import { type Answered, type Injection, openRemote, type Received, type Remote } from "./remote.ts";
import { carelessness, isWebLink, json, onlyKeys, strictObject } from "./strict.ts";

export interface Mattermost extends Disposable {
  /** The incoming webhook, which is the secret. */
  url: string;
  /** The bodies that became posts, oldest first. */
  posts: JsonObject[];
  requests: Received[];
  /** What a strict server held against us; a good client leaves it empty. */
  faults: string[];
  arrived: Remote["arrived"];
  close(): void;
}

export interface MattermostOptions {
  /** What happens to the first requests, one each; then the server is itself. */
  script?: Injection[];
  hook?: string;
  /** The server has other hooks than ours. */
  deleted?: boolean;
  disabled?: boolean;
}

const keys = ["text", "channel", "username", "icon_url", "icon_emoji", "attachments", "type", "props", "priority"];
const attachmentKeys = ["fallback", "color", "pretext", "author_name", "author_link", "author_icon", "title"];
const moreKeys = ["title_link", "text", "fields", "image_url", "thumb_url", "footer", "footer_icon"];
const alphabet = "abcdefghijkmnopqrstuwxyz13456789";

/** A Mattermost server with one incoming webhook, as strict as the real one and stricter where that is lenient in silence. */
export function openMattermost(options: MattermostOptions = {}): Mattermost {
  const random = crypto.getRandomValues(new Uint8Array(26));
  const hook = options.hook ?? [...random].map((byte) => alphabet[byte % 32]).join("");
  const posts: JsonObject[] = [];
  const faults: string[] = [];

  const service = (request: Received): Answered => {
    // The web app answers every GET, known hook or not: what a followed redirect would take for success.
    if (request.method !== "POST") return page(200);
    if (!/^\/hooks\/[A-Za-z0-9]+$/.test(request.path)) return page(404);
    if (options.disabled)
      return refusal(501, "web.incoming_webhook.disabled.app_error", "Incoming webhooks are disabled.");
    const careless = carelessness(request, "chat");
    if (careless) return fault(careless);
    let body: JsonObject;
    try {
      body = strictObject(request.text);
    } catch (error) {
      return fault(error instanceof Error ? error.message : "bad JSON");
    }
    if (request.bytes.length > 300_000) return refusal(413, general, failed(hook));
    try {
      check(body);
    } catch (error) {
      return fault(error instanceof Error ? error.message : "bad body");
    }
    if (options.deleted || request.path !== `/hooks/${hook}`)
      return refusal(400, "web.incoming_webhook.invalid.app_error", `Invalid webhook ${hook}.`);
    posts.push(body);
    return { status: 200, headers: { "Content-Type": "text/plain" }, body: "ok" };
  };
  const fault = (why: string): Answered => {
    faults.push(why);
    return refusal(400, general, `${failed(hook)} ${why}`);
  };

  const { url, requests, arrived, close } = openRemote({ service, script: options.script ?? [] });
  return { url: `${url}/hooks/${hook}`, posts, requests, faults, arrived, close, [Symbol.dispose]: close };
}

/** What in a post would mention people or make a link of untrusted text; a good client's posts have none. */
export function mentionsIn(body: JsonObject): string[] {
  const found = [
    /@(channel|all|here|everyone)\b/i,
    /@\w/,
    /<!(channel|here|all)>/,
    /<@[A-Za-z0-9]+>/,
    /<[^<|>]+\|[^>|]+>/,
  ];
  return textsOf(body).flatMap((text) => found.flatMap((pattern) => pattern.exec(text)?.[0] ?? []));
}

/** Every text of a post that the server reads for mentions and rewrites. */
export function textsOf(body: JsonObject): string[] {
  const attachments = Array.isArray(body.attachments) ? body.attachments.filter(isObject) : [];
  const parts = attachments.flatMap(({ fallback, pretext, title, text }) => [fallback, pretext, title, text]);
  return [body.text, ...parts].filter((text) => typeof text === "string");
}

const general = "web.incoming_webhook.general.app_error";
const failed = (hook: string): string =>
  `Failed to handle the payload of media type application/json for incoming webhook ${hook}.`;

const page = (status: number): Answered => ({
  status,
  headers: { "Content-Type": "text/html" },
  body: "<!doctype html><title>Mattermost</title>",
});

const refusal = (status: number, id: string, message: string): Answered =>
  json(status, { id, message, detailed_error: "", request_id: "q".repeat(26), status_code: status });

function check(body: JsonObject): void {
  onlyKeys(body, [...keys, "root_id", "silent"], "the post");
  const { text, attachments, channel } = body;
  if (text !== undefined && typeof text !== "string") throw new Error("text is not a string");
  if ((text === undefined || text === "") && attachments === undefined) throw new Error("No text specified.");
  if (text !== undefined && [...text].length > 16_383) throw new Error("the server would split this text");
  if (channel !== undefined && (typeof channel !== "string" || !/^@?[a-z0-9_.-]+$/.test(channel)))
    throw new Error("channel is not a name");
  if (attachments === undefined) return;
  if (!Array.isArray(attachments)) throw new Error("web.incoming_webhook.decode.app_error");
  attachments.forEach(checkAttachment);
}

/** Throws where an attachment is one that a server refuses, or shows otherwise than it was meant. */
export function checkAttachment(attachment: Json): void {
  if (!isObject(attachment)) throw new Error("an attachment is not an object");
  onlyKeys(attachment, [...attachmentKeys, ...moreKeys], "an attachment");
  const { fallback, color, title, title_link, text, footer, fields } = attachment;
  if (typeof fallback !== "string" || fallback === "") throw new Error("an attachment without fallback");
  if (color !== undefined && !(typeof color === "string" && /^(good|warning|danger|#[0-9a-fA-F]{6})$/.test(color)))
    throw new Error("color");
  for (const [key, value] of Object.entries(attachment)) {
    if (/_(link|url|icon)$/.test(key) && !isWebLink(value)) throw new Error(`${key} is not http(s)`);
    if (value === null) throw new Error(`${key} is null`);
  }
  if (title_link !== undefined && typeof title !== "string") throw new Error("title_link without title");
  if (text !== undefined && (typeof text !== "string" || [...text].length > 16_383)) throw new Error("attachment text");
  if (typeof footer === "string" && footer.length > 300) throw new Error("footer");
  if (fields !== undefined && !(Array.isArray(fields) && fields.every(isField))) throw new Error("fields");
}

const isField = (field: Json): boolean =>
  isObject(field) && typeof field.title === "string" && ["string", "number"].includes(typeof field.value);
