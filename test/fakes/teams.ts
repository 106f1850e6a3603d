import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";
import { type Answered, type Injection, openRemote, type Received, type Remote } from "./remote.ts";
import { carelessness, isWebLink, json, onlyKeys, strictObject } from "./strict.ts";

export interface Teams extends Disposable {
  /** The workflow's address, which is the secret. */
  url: string;
  /** The bodies that the workflow took, oldest first. */
  posts: JsonObject[];
  requests: Received[];
  /** What a strict server held against us; a good client leaves it empty. */
  faults: string[];
  arrived: Remote["arrived"];
  close(): void;
}

export interface TeamsOptions {
  /** What happens to the first requests, one each; then the server is itself. */
  script?: Injection[];
  /** The address as Power Platform gives it, in place of the older one of Logic Apps. */
  powerPlatform?: boolean;
  /** The owner turned the flow off, or is gone. */
  deleted?: boolean;
  /** Some flows answer 200 in place of 202. */
  status?: 200 | 202;
}

const largest = 28_672;
const strictLargest = 24_576; // the flow adds to what it was sent

/** A Teams workflow with a webhook trigger, as strict as the real one, and refusing what that would take and drop later. */
export function openTeams(options: TeamsOptions = {}): Teams {
  const sig = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");
  const version = options.powerPlatform ? "1" : "2016-06-01";
  const root = options.powerPlatform ? "/powerautomate/automations/direct/cu/07" : "";
  const path = `${root}/workflows/${hex(16)}/triggers/manual/paths/invoke`;
  const target = `${path}?api-version=${version}&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=${sig}`;
  const posts: JsonObject[] = [];
  const faults: string[] = [];
  const fault = (why: string): Answered => {
    faults.push(why);
    return refusal(400, "TriggerInputSchemaMismatch", why);
  };

  const service = (request: Received): Answered => {
    if (request.path !== path || options.deleted)
      return refusal(404, "WorkflowNotFound", "The workflow was not found.");
    if (request.method !== "POST") return refusal(405, "MethodNotAllowed", "Only POST.");
    if (request.headers.has("authorization"))
      return refusal(400, "DirectApiRequestHasMoreThanOneAuthorization", "More than one authorization.");
    if (request.query.get("sig") !== sig)
      return refusal(401, "DirectApiAuthorizationRequired", "The request must be authenticated.");
    if (request.target !== target) return fault("the address did not arrive as it was given");
    const careless = carelessness(request, "chat");
    if (careless) return fault(careless);
    if (request.bytes.length > largest) return refusal(413, "RequestEntityTooLarge", "Too large.");
    if (request.bytes.length > strictLargest) return fault(`${request.bytes.length} bytes leave the flow no room`);
    let body: JsonObject;
    try {
      body = strictObject(request.text);
      checkMessage(body);
    } catch (error) {
      return fault(error instanceof Error ? error.message : "bad body");
    }
    posts.push(body);
    return { status: options.status ?? 202, headers: { "x-ms-workflow-run-id": hex(12) } };
  };

  const { url, requests, arrived, close } = openRemote({ service, script: options.script ?? [] });
  return { url: `${url}${target}`, posts, requests, faults, arrived, close, [Symbol.dispose]: close };
}

/** What in a card would mention people or make a link of untrusted text; a good client's cards have none. */
export function mentionsIn(body: JsonObject): string[] {
  return textsOf(body).flatMap((text) => [/<at>/i, /\]\(/, /:\/\//].flatMap((found) => found.exec(text)?.[0] ?? []));
}

/** Every text of a card that people see, links apart. */
export function textsOf(value: Json, name = ""): string[] {
  if (typeof value === "string") return ["text", "title", "fallbackText", "value"].includes(name) ? [value] : [];
  if (Array.isArray(value)) return value.flatMap((inner) => textsOf(inner));
  return value && typeof value === "object" ? Object.entries(value).flatMap(([key, inner]) => textsOf(inner, key)) : [];
}

const hex = (bytes: number) => Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString("hex");

const refusal = (status: number, code: string, message: string): Answered => json(status, { error: { code, message } });

function checkMessage(body: JsonObject): void {
  onlyKeys(body, ["type", "attachments"], "the message");
  if (body.type !== "message") throw new Error("type is not message");
  const [attachment, more] = Array.isArray(body.attachments) ? body.attachments : [];
  if (!isObject(attachment) || more !== undefined) throw new Error("attachments is not a list of one");
  onlyKeys(attachment, ["contentType", "contentUrl", "content"], "the attachment");
  if (attachment.contentType !== "application/vnd.microsoft.card.adaptive") throw new Error("contentType");
  if (attachment.contentUrl !== undefined && attachment.contentUrl !== null) throw new Error("contentUrl");
  if (!isObject(attachment.content)) throw new Error("no card");
  checkCard(attachment.content);
}

function checkCard(card: JsonObject): void {
  onlyKeys(card, ["$schema", "type", "version", "fallbackText", "msteams", "body", "actions"], "the card");
  if (card.type !== "AdaptiveCard" || card.version !== "1.4") throw new Error("not an AdaptiveCard of 1.4");
  if (card.$schema !== "http://adaptivecards.io/schemas/adaptive-card.json") throw new Error("$schema");
  if (card.fallbackText !== undefined && !isText(card.fallbackText)) throw new Error("fallbackText");
  if (isObject(card.msteams)) onlyKeys(card.msteams, ["width"], "msteams");
  if (!Array.isArray(card.body) || card.body.length === 0) throw new Error("a card without a body");
  card.body.forEach(checkElement);
  for (const action of list(card.actions)) {
    if (!isObject(action) || action.type !== "Action.OpenUrl") throw new Error("an action other than OpenUrl");
    onlyKeys(action, ["type", "title", "url"], "an action");
    if (!isText(action.title) || !isWebLink(action.url)) throw new Error("an action without title or web link");
  }
}

/** One value of each property, of those that https://adaptivecards.io/schemas/1.4.0/adaptive-card.json knows and a status needs. */
const looks: Record<string, RegExp> = {
  size: /^(default|small|medium|large|extraLarge)$/,
  weight: /^(default|lighter|bolder)$/,
  color: /^(default|dark|light|accent|good|warning|attention)$/,
  fontType: /^(default|monospace)$/,
  spacing: /^(default|none|small|medium|large|extraLarge|padding)$/,
  isSubtle: /^(true|false)$/,
  separator: /^(true|false)$/,
  wrap: /^(true|false)$/,
};
const runLooks = ["size", "weight", "color", "fontType", "isSubtle"];

function checkElement(element: Json): void {
  if (!isObject(element)) throw new Error("an element is not an object");
  for (const [name, value] of Object.entries(element)) {
    if (looks[name]?.test(String(value)) === false) throw new Error(`${name} is ${String(value)}`);
  }
  if (element.type === "TextBlock") {
    onlyKeys(element, ["type", "text", "spacing", "separator", "wrap", ...runLooks], "a TextBlock");
    if (!isText(element.text)) throw new Error("a TextBlock without text");
  } else if (element.type === "RichTextBlock") {
    onlyKeys(element, ["type", "inlines", "spacing", "separator"], "a RichTextBlock");
    const inlines = list(element.inlines);
    if (inlines.length === 0) throw new Error("a RichTextBlock without inlines");
    inlines.forEach(checkElement);
  } else if (element.type === "TextRun") {
    onlyKeys(element, ["type", "text", ...runLooks], "a TextRun");
    if (!isText(element.text)) throw new Error("a TextRun without text");
  } else if (element.type === "FactSet") {
    onlyKeys(element, ["type", "facts", "spacing", "separator"], "a FactSet");
    const facts = list(element.facts);
    if (facts.length === 0 || !facts.every((fact) => isObject(fact) && isText(fact.title) && isText(fact.value)))
      throw new Error("facts");
  } else throw new Error(`the element ${String(element.type)}`);
}

const list = (value: Json | undefined): Json[] => (Array.isArray(value) ? value : []);
const isText = (value: Json | undefined): boolean => typeof value === "string" && value !== "";
