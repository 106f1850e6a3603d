import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";
import { checkAttachment } from "./mattermost.ts";
import { type Answered, type Injection, openRemote, type Received } from "./remote.ts";
import { carelessness, json, onlyKeys, strictObject } from "./strict.ts";

export interface BotPost {
  id: string;
  message: string;
  props: JsonObject;
  edits: number;
  root: string | null;
  silent: boolean;
}

export interface BotOptions {
  /** What happens to the first requests, one each; then the server is itself. */
  script?: Injection[];
  /** Posts cannot be edited any more, as `PostEditTimeLimit` has it. */
  tooLate?: boolean;
}

export const token = "t0kenofab0tthatposts1builds";
export const channel = "c4hanne15bui1ds6acme7ios8x";

/** The REST side of a Mattermost server, with one bot that may write to one channel. */
export function openMattermostBot({ script = [], tooLate = false }: BotOptions = {}) {
  const posts = new Map<string, BotPost>();
  const pending = new Map<string, string>();
  const faults: string[] = [];
  let count = 0;

  const create = (body: JsonObject, silent: boolean): Answered => {
    onlyKeys(body, ["channel_id", "message", "root_id", "props", "pending_post_id"], "the post");
    const { channel_id, root_id, pending_post_id } = body;
    const before = posts.get(pending.get(String(pending_post_id)) ?? "");
    if (before) return answer(201, before);
    if (channel_id !== channel) return refusal(403, "api.context.permissions.app_error");
    const root = typeof root_id === "string" ? root_id : null;
    if (root !== null && posts.get(root)?.root !== null) return refusal(400, "api.post.create_post.root_id.app_error");
    const id = `p${String(++count).padStart(2, "0")}`.padEnd(26, "xyz13456");
    const post: BotPost = { id, edits: 0, root, silent, ...textOf(body) };
    posts.set(id, post);
    if (typeof pending_post_id === "string") pending.set(pending_post_id, id);
    return answer(201, post);
  };
  const patch = (id: string, body: JsonObject): Answered => {
    onlyKeys(body, ["message", "props"], "the patch");
    const post = posts.get(id);
    if (!post) return refusal(404, "app.post.get.app_error");
    if (tooLate) return refusal(400, "api.post.update_post.permissions_time_limit.app_error");
    if (body.props === undefined && post.props.attachments) throw new Error("the attachments of the last state stay");
    Object.assign(post, textOf(body), { edits: post.edits + 1 });
    return answer(200, post);
  };

  const service = (request: Received): Answered => {
    const [, id] = /^\/api\/v4\/posts(?:\/([a-z0-9]{26})\/patch)?$/.exec(request.path) ?? [];
    if (request.method === "GET" && request.path === "/api/v4/users/me")
      return request.headers.get("authorization") === `Bearer ${token}`
        ? json(200, { id: "b".repeat(26), username: "builds", is_bot: true })
        : refusal(401, "api.context.session_expired.app_error");
    const isCreate = request.path === "/api/v4/posts";
    if (request.method !== (isCreate ? "POST" : "PUT") || (!isCreate && id === undefined))
      return refusal(404, "api.context.404.app_error");
    if (request.headers.get("authorization") !== `Bearer ${token}`)
      return refusal(401, "api.context.session_expired.app_error");
    try {
      const careless = carelessness(request, "chat");
      if (careless) throw new Error(careless);
      const body = strictObject(request.text);
      if ([...String(body.message)].length > 16_383)
        return refusal(400, "model.post.is_valid.message_length.app_error");
      return id === undefined ? create(body, request.query.get("silent") === "true") : patch(id, body);
    } catch (error) {
      faults.push(error instanceof Error ? error.message : "bad body");
      return refusal(400, "api.context.invalid_body_param.app_error");
    }
  };

  const { url, requests, arrived, close } = openRemote({ service, script });
  const messages = () => [...posts.values()];
  const forget = () => posts.clear();
  return { url, messages, forget, requests, faults, arrived, close, [Symbol.dispose]: close };
}

export const refusal = (status: number, id: string): Answered =>
  json(status, { id, message: "Refused.", detailed_error: "", request_id: "q".repeat(26), status_code: status });

const answer = (status: number, { id, message, props, root }: BotPost): Answered =>
  json(status, { id, create_at: 1_795_000_000_000, channel_id: channel, root_id: root ?? "", message, props });

function textOf({ message, props }: JsonObject): { message: string; props: JsonObject } {
  if (typeof message !== "string" || message === "") throw new Error("message");
  if (props !== undefined && !isObject(props)) throw new Error("props");
  const attachments: Json = props?.attachments ?? [];
  onlyKeys(props ?? {}, ["attachments"], "props");
  if (!Array.isArray(attachments)) throw new Error("attachments");
  attachments.forEach(checkAttachment);
  return { message, props: props ?? {} };
}
