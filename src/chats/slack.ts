import { z } from "zod";
import { MeshError } from "../core/error.ts";
import { objectIn } from "../core/json.ts";
import type { Handle } from "../core/post.ts";
import type { RunState } from "../core/records.ts";
import { secret } from "../core/secret.ts";
import { webRoot } from "../core/web-root.ts";
import { chatOptions, defineChat } from "./chat.ts";
import { judge } from "./slack-judge.ts";
import { plainly, richly } from "./slack-layout.ts";

// Incoming webhook: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
// Bot: https://docs.slack.dev/reference/methods/chat.postMessage and https://docs.slack.dev/reference/methods/chat.update
export const slack = defineChat({
  kind: "slack",

  get options() {
    return chatOptions.extend({
      kind: z.literal("slack"),
      url: secret.optional(),
      token: secret.optional(),
      channel: z
        .string()
        .regex(/^#?[^\s#@<>&]{1,80}$/, { error: "expected a channel's id or name" })
        .optional(),
      base_url: webRoot.default("https://slack.com"),
    });
  },

  // What is longer is cut by the server at 40,000, and discouraged from here on.
  limits: { text: 4000, unit: "codepoints" },
  can: ({ url }) => ({ edit: url === undefined, thread: url === undefined, silent: false, idempotent: false }),
  // A channel takes one message a second, and what hammers it is disabled for good.
  retry: { base_delay_ms: 1000 },
  // https://docs.slack.dev/apis/web-api/rate-limits
  rate: () => "1/s",

  refuse({ url, token, channel }) {
    if (url !== undefined) {
      if (token !== undefined) return "has the url of a webhook and the token of a bot; leave one of them out";
      if (channel !== undefined)
        return "has a webhook, which posts to its own channel; leave channel out, or give token";
      return null;
    }
    if (token === undefined) return "needs the url of a webhook, or the token and channel of a bot";
    return channel === undefined ? "has the token of a bot, which needs the channel to post to" : null;
  },

  post(announcement, { url, token, channel, base_url, broadcast }, { edit, thread, plain = false }) {
    const layout = plain ? plainly(announcement) : richly(announcement);
    if (url !== undefined) return { method: "POST", url, body: { ...layout, ...quiet } };
    if (token === undefined || channel === undefined)
      throw new MeshError("config", "a slack bot needs a token and a channel");
    const ask = {
      method: "POST",
      bearer: token,
      headers: jsonIn,
    } as const;
    const old = placeOf(edit, channel);
    if (old) {
      // Blocks that are not mentioned stay, and names would be looked for in the text unless told otherwise.
      const all = { blocks: [], ...layout, parse: "none" };
      return { ...ask, url: `${base_url}/api/chat.update`, body: { ...old, ...all } };
    }
    const root = placeOf(thread, channel);
    const reply = root && {
      channel: root.channel,
      thread_ts: root.ts,
      ...(broadcast && loud.has(announcement.state) && { reply_broadcast: true }),
    };
    return { ...ask, url: `${base_url}/api/chat.postMessage`, body: { channel, ...reply, ...layout, ...quiet } };
  },

  judge,

  // https://docs.slack.dev/reference/methods/auth.test
  probe({ token, base_url }) {
    if (token === undefined) return null;
    return {
      ask: { method: "POST", url: `${base_url}/api/auth.test`, bearer: token, headers: jsonIn, body: {} },
      fault({ status, text }) {
        const { ok, error } = objectIn(text);
        if (status !== 200 || ok !== false || error === "ratelimited") return null;
        return `Slack refused the token (${/^\w{1,40}$/.exec(String(error))?.[0] ?? "no reason said"})`;
      },
    };
  },
});

const jsonIn = { "content-type": "application/json; charset=utf-8" };
const quiet = { unfurl_links: false, unfurl_media: false };
const loud = new Set<RunState>(["failed", "dead"]);

/** Where an earlier message is; null where there is none, or where another channel is configured by now. */
function placeOf(handle: Handle | undefined, channel: string): { channel: string; ts: string } | null {
  const [, id, ts] = /^([A-Z0-9]{2,40}):(\d+\.\d+)$/.exec(handle ?? "") ?? [];
  if (id === undefined || ts === undefined) return null;
  const isElsewhere = /^[CG][A-Z0-9]{8,}$/.test(channel) && channel !== id;
  return isElsewhere ? null : { channel: id, ts };
}
