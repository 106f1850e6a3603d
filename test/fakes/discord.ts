import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";
import { Pace } from "./pace.ts";
import { type Answered, type Injection, openRemote, type Received, type Remote } from "./remote.ts";
import { carelessness, isWebLink, json, onlyKeys, refuseNulls, strictObject } from "./strict.ts";

/** A message as it stands now. */
export interface Message {
  id: string;
  content: string;
  embeds: Json[];
  edits: number;
  at: number;
}

export interface Discord extends Disposable {
  /** The webhook, which is the secret. */
  url: string;
  /** What is shown now, oldest first. */
  messages: Message[];
  /** Every body that was taken, edits included. */
  posts: JsonObject[];
  requests: Received[];
  /** What a strict service held against us; a good client leaves it empty. */
  faults: string[];
  arrived: Remote["arrived"];
  /** The service's clock, for what hangs on time. */
  clock: () => number;
  /** Refuses the next request with 429, and notes who comes back sooner than this many seconds from then. */
  hush(seconds: number, form?: "header" | "body"): void;
  /** Deletes every message, as a moderator would. */
  forget(): void;
  close(): void;
}

export interface DiscordOptions {
  /** What happens to the first requests, one each; then the service is itself. */
  script?: Injection[];
  /** Status and code of what is wrong with the first requests that reach it; null where nothing is. */
  errors?: ([status: number, code: number] | null)[];
  /** There is no such webhook any more. */
  deleted?: boolean;
  /** How often a message that is over an hour old may be edited. */
  lateEdits?: number;
}

const hour = 3_600_000;

/** Discord: one webhook, stricter than the real one where that is lenient in silence. */
export function openDiscord(options: DiscordOptions = {}): Discord {
  const random = Buffer.from(crypto.getRandomValues(new Uint8Array(34))).toString("hex");
  const hook = `/api/webhooks/1203344556677880000/${random}`;
  const messages: Message[] = [];
  const posts: JsonObject[] = [];
  const faults: string[] = [];
  const errors = [...(options.errors ?? [])];
  const hushes: { seconds: number; form: "header" | "body" }[] = [];
  let count = 0;
  let knocks = 0;
  let lateEdits = 0;
  const now = (): number => discord.clock();
  const pace = new Pace(now, 5, 2.5);

  const service = (request: Received): Answered => {
    const answered = careful(request);
    knocks = [401, 403, 404].includes(answered.status) ? knocks + 1 : 0;
    // Ten thousand of them in ten minutes get the address banned: https://discord.com/developers/docs/topics/rate-limits
    if (knocks > 3) faults.push("went on knocking where it was refused");
    return answered;
  };

  const careful = (request: Received): Answered => {
    try {
      return answer(request);
    } catch (error) {
      faults.push(error instanceof Error ? error.message : "bad request");
      return failed(400, 50035);
    }
  };

  const answer = (request: Received): Answered => {
    const hushed = hushes.shift();
    const seconds = hushed ? pace.hush(hushed.seconds) : pace.ask();
    if (seconds !== null) {
      const headers = hushed?.form === "body" ? {} : { "Retry-After": String(Math.ceil(seconds)) };
      return json(429, { message: "You are being rate limited.", retry_after: seconds, global: false }, headers);
    }
    const careless = carelessness(request, "chat");
    if (careless) throw new Error(careless);
    const error = errors.shift();
    if (error) return failed(...error);
    const id = /\/messages\/(\d+)$/.exec(request.path)?.[1];
    if (!/^\/api(\/v10)?\/webhooks\/\d{17,20}\/[\w-]{60,90}(\/messages\/\d+)?$/.test(request.path))
      return failed(404, 0);
    if (options.deleted || !request.path.startsWith(hook)) return failed(404, 10015);
    if (request.method === "GET" && request.path === hook) return json(200, { id: "1203344556677880000", type: 1 });
    const body = strictObject(request.text);
    refuseNulls(body);
    check(body, id === undefined ? 1 : 0);
    if (id === undefined) return request.method === "POST" ? post(request, body) : failed(405, 0);
    return request.method === "PATCH" ? edit(id, body) : failed(405, 0);
  };

  const post = ({ query }: Received, body: JsonObject): Answered => {
    if (query.get("wait") !== "true") throw new Error("without wait=true a lost message is a success");
    const id = `12033445566778${String(++count).padStart(5, "0")}`;
    const { content = "", embeds = [] } = body;
    const message = { id, content: String(content), embeds: [embeds].flat(), edits: 0, at: now() };
    if (message.content === "" && message.embeds.length === 0) return failed(400, 50006);
    messages.push(message);
    posts.push(body);
    return json(200, { id, type: 0, content: message.content, embeds: message.embeds });
  };

  const edit = (id: string, body: JsonObject): Answered => {
    const old = messages.find((message) => message.id === id);
    if (!old) return failed(404, 10008);
    if (now() - old.at > hour && lateEdits++ >= (options.lateEdits ?? Infinity)) return failed(429, 30046);
    // What is not mentioned stays.
    if (typeof body.content === "string") old.content = body.content;
    if (Array.isArray(body.embeds)) old.embeds = body.embeds;
    old.edits++;
    posts.push(body);
    return json(200, { id, type: 0, content: old.content, embeds: old.embeds });
  };

  const { url, requests, arrived, close } = openRemote({ service, script: options.script ?? [] });
  const discord: Discord = {
    url: `${url}${hook}`,
    messages,
    posts,
    requests,
    faults,
    arrived,
    clock: Date.now,
    hush: (seconds, form = "header") => void hushes.push({ seconds, form }),
    forget: () => void messages.splice(0),
    close,
    [Symbol.dispose]: close,
  };
  return discord;
}

/** What Discord would read out of a message beside its text: mentions, links and formatting that are not ours. */
export function markupIn({ content = "", embeds = [] }: { content?: Json; embeds?: Json }): string[] {
  const descriptions = [embeds].flat().map((embed) => (isObject(embed) ? String(embed.description ?? "") : ""));
  return [String(content), ...descriptions].flatMap((text) => {
    const links = [...text.matchAll(ourLink)].filter(([, url]) => !isWebLink(url)).map(([link]) => link);
    const bare = text.replace(ourLink, "");
    const named = [/@\w/, /<[@#:!/]/, /<a?:/, /<t:/].flatMap((pattern) => pattern.exec(bare)?.[0] ?? []);
    // Code is read before escapes only where no backslash stands before it.
    const shown = bare.replace(ourBold, "").replace(/\\[^\sA-Za-z0-9]|`[^`\n]+`/g, "");
    const formatted = [/[*_~`|<[\]\\]/, /^\s*(#|>|-|\d+\.)/m, /:\/\//].flatMap((at) => at.exec(shown)?.[0] ?? []);
    return [...links, ...named, ...formatted];
  });
}

const ourLink = /\[(?:log|issue)\]\(<([^\s<>]+)>\)/g;
const ourBold = /\*\*(Failed:|Why:|queued|running|succeeded|failed|cancelled|dead)\*\*/g;

const failed = (status: number, code: number): Answered => json(status, { message: "refused", code });

const embedKeys = ["title", "description", "url", "color", "fields", "footer", "author", "timestamp"];

function check(body: JsonObject, fewest: number): void {
  onlyKeys(body, ["content", "embeds", "allowed_mentions", "username"], "the message");
  const { content, embeds, allowed_mentions: allowed } = body;
  if (JSON.stringify(isObject(allowed) ? allowed : {}) !== '{"parse":[]}') throw new Error("allowed_mentions");
  if (content === undefined && embeds === undefined) throw new Error("an empty message");
  if (content !== undefined && (typeof content !== "string" || content.length > 2000)) throw new Error("content");
  if (embeds === undefined) return;
  if (!Array.isArray(embeds) || embeds.length < fewest || embeds.length > 10) throw new Error("embeds");
  if (embeds.map(lengthOf).reduce((sum, length) => sum + length, 0) > 6000) throw new Error("embeds are too long");
}

/** Answers how many characters an embed has; throws where Discord would not take it. */
function lengthOf(embed: Json): number {
  if (!isObject(embed)) throw new Error("an embed is not an object");
  onlyKeys(embed, embedKeys, "an embed");
  const { title, description, url, color } = embed;
  if (color !== undefined && !(Number.isInteger(color) && Number(color) >= 0 && Number(color) <= 0xffffff))
    throw new Error("color");
  if (url !== undefined && !isWebLink(url)) throw new Error("url is not http(s)");
  const bounds: [Json | undefined, number][] = [
    [title, 256],
    [description, 4096],
  ];
  for (const [text, longest] of bounds) {
    if (text !== undefined && !(typeof text === "string" && text !== "" && text.length <= longest))
      throw new Error("a text of an embed");
  }
  return `${String(title ?? "")}${String(description ?? "")}`.length;
}
