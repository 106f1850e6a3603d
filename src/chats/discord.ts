import { z } from "zod";
import { objectIn } from "../core/json.ts";
import { dead, degrade, handleLost, judgeStatus, retry, sent } from "../core/post.ts";
import { secret } from "../core/secret.ts";
import { chatOptions, defineChat } from "./chat.ts";
import { plainly, richly } from "./discord-layout.ts";

// Execute and edit a webhook: https://discord.com/developers/docs/resources/webhook#execute-webhook
export const discord = defineChat({
  kind: "discord",

  get options() {
    return chatOptions.extend({ kind: z.literal("discord"), url: secret });
  },

  // How the server counts is said nowhere; UTF-16 units are never fewer than its characters.
  limits: { text: 2000, unit: "utf16" },
  can: () => ({ edit: true, thread: false, silent: false, idempotent: false }),
  // Ten thousand refused requests in ten minutes get the address banned.
  retry: { base_delay_ms: 1000 },
  // Five in two seconds; each reply says how many are left: https://discord.com/developers/docs/topics/rate-limits
  rate: () => "2/s",

  refuseUrl({ pathname, search }) {
    if (/\/(slack|github)$/.test(pathname)) return "the webhook's address ends in /slack or /github; leave that off";
    return /\?.*\?/.test(search) ? "the webhook's address has a query; leave off what follows its token" : null;
  },

  post(announcement, { url }, { edit, plain = false }) {
    const id = /^\d{1,20}$/.exec(edit ?? "")?.[0];
    const layout = plain ? plainly(announcement) : richly(announcement);
    // Asked again at every edit: what it does not say falls back to mentioning everyone who is named.
    const nobody = { allowed_mentions: { parse: [] } };
    // Without `wait`, a message that could not be stored is a success.
    if (id === undefined) return { method: "POST", url: [url, "?wait=true"], body: { ...layout, ...nobody } };
    // An embed that is not mentioned stays.
    return { method: "PATCH", url: [url, `/messages/${id}`], body: { embeds: [], ...layout, ...nobody } };
  },

  judge({ status, text }, { edit }) {
    const reply = objectIn(text);
    const code = typeof reply.code === "number" && Number.isSafeInteger(reply.code) ? reply.code : 0;
    if (status === 200) {
      const id = reply.id;
      return typeof id === "string" && /^\d{1,20}$/.test(id)
        ? sent(id)
        : dead("answered 200 without a message: a proxy or login page?");
    }
    const said = `status ${status}${code === 0 ? "" : `, code ${code}`}`;
    if (edit !== undefined && (lost.has(code) || (status === 404 && !gone.has(code)))) return handleLost(said);
    if (status === 429)
      return retry(said, typeof reply.retry_after === "number" ? reply.retry_after * 1000 : undefined);
    if (status === 400 || status === 413)
      return gone.has(code) ? dead(said) : degrade(`${said}: the layout was refused`);
    if (status === 501) return dead(said);
    const verdict = judgeStatus(status);
    if (verdict.verdict === "sent") return dead(`answered ${status} without a message`);
    if (verdict.verdict === "retry") return retry(said);
    return status >= 400 ? dead(said) : verdict;
  },

  // Asked for with its token, a webhook needs no other: https://discord.com/developers/docs/resources/webhook#get-webhook-with-token
  probe: ({ url }) => ({
    ask: { method: "GET", url },
    fault: ({ status }) =>
      status === 401 || status === 404 ? `Discord knows no such webhook, or not with this token (${status})` : null,
  }),
});

// https://discord.com/developers/docs/topics/opcodes-and-status-codes#json
const lost = new Set([
  10008, // unknown message
  30046, // too many edits of a message that is over an hour old; answered with 429
  50005, // somebody else's message
]);
const gone = new Set([
  10003, // unknown channel
  10015, // unknown webhook
  50027, // invalid webhook token
  50083, // archived thread
  220001, // a forum, where a message needs a thread
  220002,
  220003,
]);
