import type { JsonObject } from "../../src/core/json.ts";
import { Pace } from "./pace.ts";
import { type Answered, type Injection, openRemote, type Received, type Remote } from "./remote.ts";
import { checkLayout } from "./slack-blocks.ts";
import { carelessness, json, onlyKeys, refuseNulls, strictObject } from "./strict.ts";

/** A message as it stands now. */
export interface Message {
  channel: string;
  ts: string;
  body: JsonObject;
  edits: number;
  at: number;
}

export interface Slack extends Disposable {
  /** The incoming webhook, which is the secret. */
  url: string;
  /** Where the Web API is, and the bot that may use it. */
  base_url: string;
  token: string;
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

export interface SlackOptions {
  /** What happens to the first requests, one each; then the service is itself. */
  script?: Injection[];
  /** Slack's own words for what is wrong with the first requests that reach it; null where nothing is. */
  errors?: (string | null)[];
  /** How long a message may be edited. */
  editable_ms?: number;
  /** How many messages a channel takes at once. */
  burst?: number;
}

const channel = "C0ACME2BLD";
const names = new Set([channel, "#builds", "builds"]);
const hook = "/services/T0ACME2TM/B0ACME2HK/";
const quiet = ["text", "blocks", "attachments", "unfurl_links", "unfurl_media", "metadata", "mrkdwn"];
const keys = {
  hook: [...quiet, "thread_ts"],
  "chat.postMessage": [...quiet, "channel", "thread_ts", "reply_broadcast"],
  "chat.update": ["channel", "ts", "text", "blocks", "attachments", "parse", "metadata"],
};

/** Slack: one incoming webhook and the Web API of one bot, stricter than the real one where that is lenient in silence. */
export function openSlack(options: SlackOptions = {}): Slack {
  const random = Buffer.from(crypto.getRandomValues(new Uint8Array(12))).toString("hex");
  const token = `xoxb-${random}`;
  const messages: Message[] = [];
  const posts: JsonObject[] = [];
  const faults: string[] = [];
  const errors = [...(options.errors ?? [])];
  const hushes: { seconds: number; form: "header" | "body" }[] = [];
  const now = (): number => slack.clock();
  // One message a second, and "short bursts": https://docs.slack.dev/apis/web-api/rate-limits
  const paces = {
    hook: new Pace(now, 25, 1),
    "chat.postMessage": new Pace(now, options.burst ?? 5, 1),
    "chat.update": new Pace(now, 50, 50 / 60),
  };
  let count = 0;

  const service = (request: Received): Answered => {
    const door = request.path.startsWith(hook) ? "hook" : request.path.replace(/^\/api\//, "");
    if (door === "auth.test") return whoAmI(request);
    if (door !== "hook" && door !== "chat.postMessage" && door !== "chat.update") return word(404, "no_service");
    if (request.method !== "POST") return word(404, "no_service");
    try {
      return answer(request, door);
    } catch (error) {
      const why = error instanceof Error ? error.message : "bad request";
      faults.push(why);
      return door === "hook" ? word(400, "invalid_payload") : failed("invalid_arguments");
    }
  };

  const whoAmI = (request: Received): Answered => {
    const careless = carelessness(request, "chat");
    if (careless) faults.push(careless);
    const isOurs = request.headers.get("authorization") === `Bearer ${token}`;
    return isOurs ? json(200, { ok: true, team_id: "T0ACME2TM", user_id: "U0ACME2BT" }) : failed("invalid_auth");
  };

  const answer = (request: Received, door: keyof typeof paces): Answered => {
    const hushed = hushes.shift();
    const seconds = hushed ? paces[door].hush(hushed.seconds) : paces[door].ask();
    if (seconds !== null) {
      const headers = hushed?.form === "body" ? {} : { "Retry-After": String(Math.ceil(seconds)) };
      return json(429, { retry_after: seconds, ok: false, error: "rate_limited" }, headers);
    }
    const careless = carelessness(request, "chat");
    if (careless) throw new Error(careless);
    const body = strictObject(request.text);
    refuseNulls(body);
    onlyKeys(body, keys[door], "the message");
    const error = errors.shift() ?? null;
    if (error !== null) return door === "hook" ? word(statusOf(error), error) : failed(error);
    return door === "hook" ? posted(request, body) : api(request, door, body);
  };

  const posted = ({ path }: Received, body: JsonObject): Answered => {
    if (path !== `${hook}${random}`) return word(404, "no_service");
    const refused = layoutOf(body);
    if (refused) return word(400, refused);
    add(body);
    return { status: 200, headers: { "Content-Type": "text/html" }, body: "ok" };
  };

  const api = (request: Received, door: "chat.postMessage" | "chat.update", body: JsonObject): Answered => {
    const { headers, text, query } = request;
    if (text.includes(token) || [...query.keys()].length > 0) throw new Error("the token belongs into the header");
    if (!/charset=utf-8/i.test(headers.get("content-type") ?? "")) throw new Error("missing_charset");
    if (headers.get("authorization") !== `Bearer ${token}`) return failed("invalid_auth");
    return door === "chat.update" ? update(body) : post(body);
  };

  const post = (body: JsonObject): Answered => {
    if (typeof body.channel !== "string" || !names.has(body.channel)) return failed("channel_not_found");
    const { thread_ts } = body;
    if (thread_ts !== undefined && !messages.some(({ ts }) => ts === thread_ts)) return failed("thread_not_found");
    if (body.reply_broadcast !== undefined && thread_ts === undefined) throw new Error("a broadcast without a thread");
    const refused = layoutOf(body);
    if (refused) return failed(refused);
    const { ts } = add(body);
    return json(200, { ok: true, channel, ts, message: { type: "message", text: body.text ?? "", ts } });
  };

  const update = (body: JsonObject): Answered => {
    if (body.parse !== "none") throw new Error('an edit without parse: "none" looks for names');
    if (body.channel !== channel) return failed("channel_not_found");
    const old = messages.find(({ ts }) => ts === body.ts);
    if (!old) return failed("message_not_found");
    if (now() - old.at > (options.editable_ms ?? Infinity)) return failed("edit_window_closed");
    const refused = layoutOf(body);
    if (refused) return failed(refused);
    old.edits++;
    posts.push(body);
    old.body = { ...old.body, ...body };
    return json(200, { ok: true, channel, ts: old.ts, text: body.text ?? "" });
  };

  const add = (body: JsonObject): Message => {
    const at = now();
    const ts = `${Math.floor(at / 1000)}.${String(++count).padStart(6, "0")}`;
    const message = { channel, ts, body, edits: 0, at };
    messages.push(message);
    posts.push(body);
    return message;
  };

  const { url, requests, arrived, close } = openRemote({ service, script: options.script ?? [] });
  const slack: Slack = {
    url: `${url}${hook}${random}`,
    base_url: url,
    token,
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
  return slack;
}

/** The webhook's statuses: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors */
function statusOf(error: string): number {
  if (error === "action_prohibited") return 403;
  if (/^(no_service|no_team|team_disabled|channel_not_found)$/.test(error)) return 404;
  if (error === "channel_is_archived") return 410;
  return error === "rollup_error" ? 500 : 400;
}

const word = (status: number, body: string): Answered => ({ status, headers: { "Content-Type": "text/plain" }, body });
const failed = (error: string): Answered => json(200, { ok: false, error });

function layoutOf(body: JsonObject): string | null {
  try {
    checkLayout(body);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : "invalid_blocks";
  }
}
