import { z } from "zod";
import { emoji, faultOf, headline, logCommand, nodeOf, shortCommit } from "../core/announcement.ts";
import { isObject, type Json } from "../core/json.ts";
import { dead, degrade, judgeStatus, sent } from "../core/post.ts";
import type { Announcement, RunState } from "../core/records.ts";
import { secret } from "../core/secret.ts";
import { defang, oneLine, truncate, webLink, withoutBackticks } from "../core/text.ts";
import { humanDuration } from "../core/units.ts";
import { chatOptions, defineChat } from "./chat.ts";

// Mattermost incoming webhook: https://developers.mattermost.com/integrate/webhooks/incoming/
export const mattermost = defineChat({
  kind: "mattermost",

  options: chatOptions.extend({
    kind: z.literal("mattermost"),
    url: secret,
    channel: z.string().min(1).max(64).optional(),
  }),

  // The server splits longer texts into several posts, and a failure half way makes a retry post twice.
  limits: { text: 16_383, unit: "codepoints" },
  can: () => ({ edit: false, thread: false, silent: true, idempotent: false }),

  post(announcement, { url, channel }, { plain = false }) {
    const layout = plain ? plainly(announcement) : richly(announcement);
    return { method: "POST", url, body: { ...(channel !== undefined && { channel }), ...layout } };
  },

  judge({ status, text }) {
    // GET answers 200 for any id, so a redirect followed by a proxy looks like success; only `ok` is one.
    if (status === 200) {
      return text.trim() === "ok" ? sent() : dead("answered 200 but not ok: a proxy or login page?");
    }
    if (status === 400 || status === 413) {
      const id = errorId(text);
      return id !== null && deadHooks.has(id)
        ? dead(`status 400, ${id}: the hook is unknown`)
        : degrade(said(status, id));
    }
    if (status === 501) return dead("status 501: incoming webhooks are disabled on this server");
    const verdict = judgeStatus(status);
    return verdict.verdict === "sent" ? dead(`answered ${status}, which no incoming webhook does`) : verdict;
  },
});

const color: Record<RunState, string> = {
  queued: "#8b98a9",
  running: "#2d7ff9",
  succeeded: "good",
  failed: "danger",
  cancelled: "#8b98a9",
  dead: "#5d1a1a",
};

const deadHooks = new Set(["web.incoming_webhook.invalid.app_error"]);

function richly(a: Announcement): { attachments: Json } {
  const url = webLink(a.run_url) ?? webLink(a.issue_url);
  return {
    attachments: [
      {
        fallback: defang(withoutPipes(truncate(oneLine(headline(a)), 1000))),
        color: color[a.state],
        title: `${emoji[a.state]} ${escaped(a.issue_key ?? a.workflow)} ${a.state}`,
        ...(url !== null && { title_link: url }),
        text: lines(a).join("\n"),
      },
    ],
  };
}

const plainly = (a: Announcement): { text: string } => ({
  text: [`${emoji[a.state]} ${escaped(a.issue_key ?? a.workflow)} ${a.state}`, ...lines(a)].join("\n"),
});

function lines(a: Announcement): string[] {
  const fault = faultOf(a);
  const node = nodeOf(a);
  const command = logCommand(a);
  const facts = [
    a.issue_key === null ? null : code(a.workflow),
    a.branch === "" ? null : `on ${code(a.branch)}`,
    a.commit ? `at ${code(shortCommit(a.commit))}` : null,
    node ? `by ${code(node)}` : null,
    a.duration_ms === null ? null : `in ${humanDuration(a.duration_ms)}`,
  ];
  const links = [link("log", a.run_url), link("issue", a.issue_url), command && code(command)];
  return [
    facts.filter(Boolean).join(" "),
    a.summary ? escaped(a.summary, 500) : "",
    fault ? `**${a.state === "cancelled" ? "Why" : "Failed"}:** ${code(fault)}` : "",
    links.filter(Boolean).join(" · "),
  ].filter((line) => line !== "");
}

const link = (name: string, url: string | null): string | null => {
  const safe = webLink(url);
  return safe === null ? null : `[${name}](${safe})`;
};

const code = (text: string): string =>
  `\`${defang(withoutPipes(withoutBackticks(truncate(oneLine(text), 300)))) || " "}\``;

/** The server never decodes entities, so what it reads as markup is hidden by backslashes and zero-width spaces. */
const escaped = (text: string, limit = 300): string =>
  defang(withoutPipes(truncate(oneLine(text), limit)).replace(/[\\`*_~#[\]>]/g, "\\$&"));

/** The server makes a link of `<a|b>` before it stores, across lines and whatever stands between: without a bar there is none. */
const withoutPipes = (text: string): string => text.replaceAll("|", "¦");

/** The error's own name. Its message holds the hook's id, which is the secret: no other word of the reply is repeated. */
function errorId(text: string): string | null {
  let reply: Json;
  try {
    reply = JSON.parse(text) as Json;
  } catch {
    return null;
  }
  const id = isObject(reply) ? reply.id : undefined;
  return typeof id === "string" && /^[a-z0-9_.]{1,100}$/.test(id) ? id : null;
}

const said = (status: number, id: string | null): string =>
  `status ${status}${id === null ? "" : `, ${id}`}: the layout was refused, or the hook was deleted`;
