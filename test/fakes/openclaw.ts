import { isObject, type JsonObject } from "../../src/core/json.ts";
import { type Answered, type Injection, openRemote, type Received, type Remote } from "./remote.ts";
import { carelessness, json, onlyKeys, strictObject } from "./strict.ts";

export interface Openclaw extends Disposable {
  /** Where the gateway listens. */
  url: string;
  /** The gateway's token, which is its owner's whole power. */
  token: string;
  /** The messages that were sent, oldest first: channel, target and message. */
  posts: JsonObject[];
  requests: Received[];
  /** What a strict gateway held against us; a good client leaves it empty. */
  faults: string[];
  arrived: Remote["arrived"];
  close(): void;
}

export interface OpenclawOptions {
  /** What happens to the first requests, one each; then the gateway is itself. */
  script?: Injection[];
  /** The tool policy does not let `message` be called over HTTP. */
  denied?: boolean;
  token?: string;
}

/** An OpenClaw gateway of which only the message tool is there; its agent hooks are a trap. */
export function openOpenclaw(options: OpenclawOptions = {}): Openclaw {
  const token = options.token ?? Buffer.from(crypto.getRandomValues(new Uint8Array(24))).toString("hex");
  const posts: JsonObject[] = [];
  const faults: string[] = [];
  const fault = (why: string): Answered => {
    faults.push(why);
    return refusal(400, "invalid_request_error", why);
  };

  const service = (request: Received): Answered => {
    if (request.path.startsWith("/hooks")) return fault("an agent was asked");
    if (request.path !== "/tools/invoke") return { status: 404, body: "Not Found" };
    if (request.method !== "POST") return { status: 405, headers: { Allow: "POST" }, body: "Method Not Allowed" };
    if (request.headers.get("authorization") !== `Bearer ${token}`) return refusal(401, "unauthorized", "Unauthorized");
    const careless = carelessness(request, "chat");
    if (careless) return fault(careless);
    if (request.bytes.length > 2_000_000) return refusal(413, "invalid_request_error", "Payload too large");
    let args: JsonObject;
    try {
      args = argsOf(strictObject(request.text));
    } catch (error) {
      return fault(error instanceof Error ? error.message : "bad body");
    }
    if (options.denied) return refusal(404, "not_found", "Tool not available: message");
    posts.push(args);
    return json(200, { ok: true, result: { messageId: `m${posts.length}` } });
  };

  const { url, requests, arrived, close } = openRemote({ service, script: options.script ?? [] });
  return { url, token, posts, requests, faults, arrived, close, [Symbol.dispose]: close };
}

/** What would mention people or read as a link in one of the chats behind the gateway; a good client's messages have none. */
export function mentionsIn({ message }: JsonObject): string[] {
  if (typeof message !== "string") return ["no message"];
  const said = message.replace(/^(Log|Issue): https?:\/\/\S+$/gm, "");
  // Between backticks only what a chat reads before its markup counts.
  const shown = said.replace(/`[^`\n]*`/g, "");
  return [
    ...found(said, [/@(channel|here|all|everyone|room)\b/i, /@\w/, /<[!@#]/, /<users\//, /<[^<>|\n]*\|/, /:\/\//]),
    ...found(shown, [/\]\(/, /`/, /[*_~]/]),
  ];
}

const refusal = (status: number, type: string, message: string): Answered =>
  json(status, { ok: false, error: { type, message } });

const found = (text: string, patterns: RegExp[]): string[] => patterns.flatMap((one) => one.exec(text)?.[0] ?? []);

function argsOf(body: JsonObject): JsonObject {
  onlyKeys(body, ["tool", "args", "idempotencyKey"], "the call");
  const { tool, args, idempotencyKey } = body;
  if (tool !== "message") throw new Error("a tool other than message");
  if (typeof idempotencyKey !== "string" || idempotencyKey === "") throw new Error("idempotencyKey");
  if (!isObject(args)) throw new Error("args");
  onlyKeys(args, ["action", "channel", "target", "message"], "args");
  if (args.action !== "send") throw new Error("action");
  for (const name of ["channel", "target", "message"]) {
    if (typeof args[name] !== "string" || args[name] === "") throw new Error(name);
  }
  return args;
}
