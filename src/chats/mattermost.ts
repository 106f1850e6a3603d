import { z } from "zod";
import { headline } from "../core/announcement.ts";
import type { Json } from "../core/json.ts";
import { type Line, linesOf, linksOf, titleOf } from "../core/layout.ts";
import type { Post } from "../core/post.ts";
import { type Announcement, type RunState, runStates } from "../core/records.ts";
import { type Secret, secret } from "../core/secret.ts";
import { defang, oneLine, truncate, withoutBackticks } from "../core/text.ts";
import { webRoot } from "../core/web-root.ts";
import { chatOptions, defineChat, type Given } from "./chat.ts";
import { judgeReply } from "./mattermost-reply.ts";

const options = () =>
  chatOptions.extend({
    kind: z.literal("mattermost"),
    url: secret.optional(),
    channel: z.string().min(1).max(64).optional(),
    base_url: webRoot.optional(),
    token: secret.optional(),
    channel_id: z
      .string()
      .regex(/^[a-z0-9]{26}$/, {
        error: "expected the channel's id, 26 letters and digits: Mattermost shows it under View Info",
      })
      .optional(),
    silent: z.array(z.enum(runStates)).optional(),
  });

type Options = z.output<ReturnType<typeof options>>;

// Mattermost, as an incoming webhook: https://developers.mattermost.com/integrate/webhooks/incoming/
// or as a bot, which can edit and answer: https://developers.mattermost.com/api-documentation/#/operations/CreatePost
export const mattermost = defineChat({
  kind: "mattermost",
  get options() {
    return options();
  },

  // The server splits longer texts into several posts, and a failure half way makes a retry post twice.
  limits: { text: 16_383, unit: "codepoints" },
  can: ({ url }) => ({ edit: url === undefined, thread: url === undefined, silent: true, idempotent: false }),
  // What a server allows that limits at all: https://docs.mattermost.com/configure/rate-limiting-configuration-settings.html
  rate: () => "10/s",

  refuse({ url, channel, base_url, token, channel_id }) {
    const bot = [base_url, token, channel_id];
    const both = "is either an incoming webhook (url) or a bot (base_url, token and channel_id)";
    if (url !== undefined) return bot.some((key) => key !== undefined) ? `${both}, not both` : null;
    if (bot.includes(undefined)) return both;
    return channel === undefined ? null : "channel is for an incoming webhook; a bot posts to its channel_id";
  },

  post(announcement, entry, given) {
    return entry.url ? hookPost(announcement, entry, entry.url, given) : botPost(announcement, entry, given);
  },

  judge: judgeReply,

  // A hook can only be posted to: of one, nothing is known before that.
  probe({ base_url, token }) {
    if (base_url === undefined || token === undefined) return null;
    return {
      ask: { method: "GET", url: `${base_url}/api/v4/users/me`, bearer: token },
      fault: ({ status }) => (status === 401 ? "Mattermost refused the bot's token (401)" : null),
    };
  },
});

function hookPost(a: Announcement, entry: Options, url: Secret, { plain }: Given): Post {
  const { channel, silent = ["queued", "running"] } = entry;
  const layout = plain ? { text: plainly(a) } : { attachments: [{ ...attachment(a), ...heading(a) }] };
  // Servers before 11.10 do not know `silent` and leave it out.
  const quiet = silent.includes(a.state) && { silent: true };
  return { method: "POST", url, body: { ...(channel !== undefined && { channel }), ...layout, ...quiet } };
}

function botPost(a: Announcement, { base_url = "", token, channel_id = "", silent = [] }: Options, given: Given): Post {
  const { key, edit, thread, plain } = given;
  const posts = `${base_url}/api/v4/posts`;
  const bearer = token && { bearer: token };
  // A patch replaces all props and leaves what it does not name: without them, the last state's attachment would stay.
  const layout = plain
    ? { message: plainly(a), props: { attachments: [] } }
    : { message: escaped(titleOf(a)), props: { attachments: [attachment(a)] } };
  if (edit !== undefined) return { method: "PUT", url: `${posts}/${edit}/patch`, ...bearer, body: layout };
  return {
    method: "POST",
    url: silent.includes(a.state) ? `${posts}?silent=true` : posts,
    ...bearer,
    // The server knows the id again for 30 seconds, and answers with the post that it made.
    body: { channel_id, pending_post_id: key, ...(thread !== undefined && { root_id: thread }), ...layout },
  };
}

const color: Record<RunState, string> = {
  queued: "#8b98a9",
  running: "#2d7ff9",
  succeeded: "good",
  failed: "danger",
  cancelled: "#8b98a9",
  dead: "#5d1a1a",
};

function attachment(a: Announcement): { [key: string]: Json } {
  return {
    fallback: defang(withoutPipes(truncate(oneLine(headline(a)), 1000))),
    color: color[a.state],
    text: linesOf(a).map(markdown).join("\n"),
  };
}

function heading(a: Announcement): { [key: string]: Json } {
  const url = linksOf(a)[0]?.url;
  return { title: escaped(titleOf(a)), ...(url !== undefined && { title_link: url }) };
}

const plainly = (a: Announcement): string => [escaped(titleOf(a)), ...linesOf(a).map(markdown)].join("\n");

const markdown = (line: Line): string =>
  line
    .map((piece) => {
      if ("url" in piece) return `[${piece.link}](${piece.url})`;
      if ("code" in piece) return `\`${defang(withoutPipes(withoutBackticks(piece.code)))}\``;
      return "strong" in piece ? `**${piece.strong}**` : escaped(piece.words);
    })
    .join("");

/** The server never decodes entities, so what it reads as markup is hidden by backslashes and zero-width spaces. */
const escaped = (text: string): string => defang(withoutPipes(text).replace(/[\\`*_~#[\]>]/g, "\\$&"));

/** The server makes a link of `<a|b>` before it stores, across lines and whatever stands between: without a bar there is none. */
const withoutPipes = (text: string): string => text.replaceAll("|", "¦");
