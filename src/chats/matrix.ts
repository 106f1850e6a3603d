import { z } from "zod";
import { type Json, type JsonObject, objectIn, text } from "../core/json.ts";
import { type Line, linesOf, plainly, titleOf } from "../core/layout.ts";
import { dead, degrade, handleLost, judgeStatus, retry, sent, type Verdict } from "../core/post.ts";
import type { Announcement } from "../core/records.ts";
import { secret } from "../core/secret.ts";
import { defang, unlinked } from "../core/text.ts";
import { webRoot } from "../core/web-root.ts";
import { chatOptions, defineChat, type Given } from "./chat.ts";

// Matrix client-server API: https://spec.matrix.org/latest/client-server-api/#sending-events-to-a-room
export const matrix = defineChat({
  kind: "matrix",

  get options() {
    return chatOptions.extend({
      kind: z.literal("matrix"),
      base_url: webRoot,
      room: z
        .string()
        .regex(/^![^\s/?#]{1,254}$/, { error: "expected a room id like !abc:acme.example, not an alias" }),
      token: secret,
    });
  },

  // An event may take 65,536 bytes in all, and an edit holds its content twice.
  limits: { text: 28_000, unit: "bytes", body: 60_000 },
  can: () => ({ edit: true, thread: true, silent: true, idempotent: true }),
  // Synapse as shipped takes 0.2 a second and ten at once, edits included:
  // https://element-hq.github.io/synapse/latest/usage/configuration/config_documentation.html#rc_message
  rate: () => "10/m",

  post(announcement, { base_url, room, token }, given) {
    // The server answers a transaction id that it knows with the event it made of it: a second try makes no second message.
    const event = `${encodeURIComponent(room)}/send/m.room.message/${given.key}`;
    return {
      method: "PUT",
      url: `${base_url}/_matrix/client/v3/rooms/${event}`,
      bearer: token,
      body: related(content(announcement, given.plain === true), given),
    };
  },

  judge(reply, given) {
    const said = objectIn(reply.text);
    if (reply.status === 200) {
      const id = text(said.event_id);
      if (id === "") return dead("answered 200 without an event id: a proxy or login page?");
      // Every edit names the first event: the edits' own ids are of no use.
      return given.edit === undefined ? sent(id) : sent();
    }
    return judgeError(reply.status, said, given.edit !== undefined || given.thread !== undefined);
  },

  // https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3accountwhoami
  probe: ({ base_url, token }) => ({
    ask: { method: "GET", url: `${base_url}/_matrix/client/v3/account/whoami`, bearer: token },
    fault: ({ status }) => (status === 401 ? "the homeserver refused the access token (401)" : null),
  }),
});

function content(a: Announcement, plain: boolean): JsonObject {
  const lines: Line[] = [[{ strong: titleOf(a) }], ...linesOf(a)];
  return {
    // A notice rings at nobody, and bots do not answer it.
    msgtype: "m.notice",
    body: lines.map(plainly).join("\n"),
    ...(!plain && { format: "org.matrix.custom.html", formatted_body: lines.map(html).join("<br>") }),
    // Without it, servers look for mentions in the text.
    "m.mentions": {},
  };
}

function related(message: JsonObject, { edit, thread }: Given): JsonObject {
  if (edit !== undefined) {
    const { body, formatted_body } = message;
    return {
      ...message,
      body: `* ${text(body)}`,
      ...(formatted_body !== undefined && { formatted_body: `* ${text(formatted_body)}` }),
      "m.new_content": message,
      "m.relates_to": { rel_type: "m.replace", event_id: edit },
    };
  }
  if (thread === undefined) return message;
  const fallback = { is_falling_back: true, "m.in_reply_to": { event_id: thread } };
  return { ...message, "m.relates_to": { rel_type: "m.thread", event_id: thread, ...fallback } };
}

const html = (line: Line): string =>
  line
    .map((piece) => {
      if ("url" in piece) return `<a href="${entities(piece.url)}">${piece.link}</a>`;
      if ("code" in piece) return `<code>${entities(defang(piece.code))}</code>`;
      if ("strong" in piece) return `<strong>${entities(unlinked(defang(piece.strong)))}</strong>`;
      return entities(unlinked(defang(piece.words)));
    })
    .join("");

const entity: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const entities = (raw: string): string => raw.replace(/[&<>"']/g, (character) => entity[character] ?? character);

/** Reads the server's own word for what went wrong before the status, which proxies change. */
function judgeError(status: number, said: JsonObject, toEvent: boolean): Verdict {
  const code = text(said.errcode);
  const why = `status ${status}${/^[A-Z_.]{1,60}$/.test(code) ? `, ${code}` : ""}`;
  if (code === "M_LIMIT_EXCEEDED" || status === 429) return retry(why, numberOf(said.retry_after_ms));
  // Synapse says M_UNKNOWN of a relation to an event that it does not have.
  if (toEvent && ((status === 400 && code === "M_UNKNOWN") || code === "M_NOT_FOUND")) return handleLost(why);
  if (status === 413 || status === 400) return degrade(why);
  const verdict = judgeStatus(status);
  if (verdict.verdict === "sent") return dead(`answered ${status}, which no homeserver does`);
  return "why" in verdict ? { ...verdict, why: verdict.why.replace(`status ${status}`, why) } : verdict;
}

const numberOf = (value: Json | undefined): number | undefined =>
  typeof value === "number" && value > 0 ? value : undefined;
