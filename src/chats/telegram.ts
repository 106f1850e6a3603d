import { z } from "zod";
import { logCommand } from "../core/announcement.ts";
import { isObject, type Json, type JsonObject, objectIn, text as textOf } from "../core/json.ts";
import { factsOf, linesOf, linksOf, titleOf, wordsOf } from "../core/layout.ts";
import { dead, degrade, handleLost, judgeStatus, type Post, retry, sent, type Verdict } from "../core/post.ts";
import type { Announcement } from "../core/records.ts";
import { secret } from "../core/secret.ts";
import { defang, truncate, unlinked } from "../core/text.ts";
import { webRoot } from "../core/web-root.ts";
import { chatOptions, defineChat, type Given } from "./chat.ts";

const chatId = z.union([z.int(), z.string().regex(/^(@[A-Za-z]\w{3,31}|-?\d{1,15})$/)], {
  error: "expected the chat's number, like -1001234567890, or its @name",
});

// Telegram bot: https://core.telegram.org/bots/api#sendmessage
export const telegram = defineChat({
  kind: "telegram",

  get options() {
    return chatOptions.extend({
      kind: z.literal("telegram"),
      token: secret,
      chat_id: chatId.transform((id) => (/^-?\d+$/.test(String(id)) ? Number(id) : id)),
      thread_id: z.int().min(1).optional(),
      base_url: webRoot.default("https://api.telegram.org"),
    });
  },

  limits: { text: 4096, unit: "utf16" },
  can: () => ({ edit: true, thread: true, silent: true, idempotent: false }),
  // One a second to a person, twenty a minute to a group: https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
  rate: ({ chat_id }) => (typeof chat_id === "number" && chat_id > 0 ? "1/s" : "20/m"),

  post(announcement, { base_url, token, chat_id, thread_id }, { edit, thread, plain }) {
    const message = {
      chat_id,
      ...(plain ? { text: plainly(announcement) } : richly(announcement)),
      link_preview_options: { is_disabled: true },
    };
    const ask = (method: string, body: JsonObject): Post => ({
      method: "POST",
      url: [`${base_url}/bot`, token, `/${method}`],
      body,
    });
    if (edit !== undefined) return ask("editMessageText", { ...message, message_id: Number(edit) });
    return ask("sendMessage", {
      ...message,
      ...(thread_id !== undefined && { message_thread_id: thread_id }),
      ...(thread !== undefined && { reply_parameters: { message_id: Number(thread) } }),
      // Nobody needs to hear that something has only begun.
      disable_notification: announcement.state === "queued" || announcement.state === "running",
    });
  },

  judge({ status, text: body }, given) {
    const said = objectIn(body);
    if (status === 200) {
      const id = isObject(said.result) ? textOf(said.result.message_id) : "";
      if (said.ok !== true || id === "") return dead("answered 200 but not as Telegram does: a proxy or login page?");
      return given.edit === undefined ? sent(id) : sent();
    }
    return judgeError(status, said, given);
  },

  // https://core.telegram.org/bots/api#getme
  probe: ({ base_url, token }) => ({
    ask: { method: "GET", url: [`${base_url}/bot`, token, "/getMe"] },
    fault: ({ status }) =>
      status === 401 || status === 404 ? `Telegram knows no bot with this token (${status})` : null,
  }),
});

// All that a message may hold then fits, though every character takes two UTF-16 units.
const longest = 200;

/** Marks the layout beside the text, in UTF-16 units: nothing is parsed, so nothing can be smuggled in or refused as markup. */
function richly(a: Announcement): { text: string; entities: Json[] } {
  const entities: Json[] = [];
  let text = "";
  const mark = (said: string, entity?: JsonObject): void => {
    if (entity) entities.push({ offset: text.length, length: said.length, ...entity });
    text += said;
  };
  mark(inert(titleOf(a, longest)), { type: "bold" });
  for (const line of linesOf(a, longest)) {
    text += "\n";
    for (const piece of line) {
      if ("url" in piece) mark(piece.link, { type: "text_link", url: piece.url });
      else if ("code" in piece) mark(defang(piece.code), { type: "code" });
      else mark(inert(wordsOf(piece)), "strong" in piece ? { type: "bold" } : undefined);
    }
  }
  return { text, entities };
}

function plainly(a: Announcement): string {
  const url = linksOf(a)[0]?.url ?? logCommand(a) ?? "";
  const facts = factsOf(a, longest).map((line) => line.map((piece) => inert(wordsOf(piece))).join(""));
  const text = truncate([inert(titleOf(a, longest)), ...facts].join("\n"), 4095 - url.length, "utf16");
  return url === "" ? text : `${text}\n${url}`;
}

/** Telegram makes links of more than others do: of `#tags`, `$TAGS` and `/commands` too. */
const inert = (text: string): string =>
  unlinked(defang(text)).replace(/(?<![\p{L}\p{N}])[#$/](?=[\p{L}\p{N}_])/gu, "$&\u200B");

const gone = /message to edit not found|message can't be edited|message to be replied not found|message_id_invalid/i;
const closed =
  /chat not found|upgraded to a supergroup|not enough rights|have no rights|write_forbidden|thread not found|topic_/i;

function judgeError(status: number, said: JsonObject, { edit, thread }: Given): Verdict {
  const description = textOf(said.description);
  const asked = isObject(said.parameters) ? said.parameters.retry_after : undefined;
  if (status === 429) return retry("status 429", typeof asked === "number" ? asked * 1000 : undefined);
  if (status === 400) {
    if (edit !== undefined && /message is not modified/i.test(description)) return sent();
    if ((edit ?? thread) !== undefined && gone.test(description)) return handleLost("status 400: the message is gone");
    return closed.test(description) ? dead("status 400: the bot may not write there") : degrade("status 400");
  }
  if (status === 413) return degrade("status 413");
  if (status === 401 || status === 404) return dead(`status ${status}: the bot's token is unknown`);
  const verdict = judgeStatus(status);
  return verdict.verdict === "sent" ? dead(`answered ${status}, which Telegram does not`) : verdict;
}
