import { z } from "zod";
import { emoji, faultOf, headline, logCommand, nodeOf, shortCommit } from "../core/announcement.ts";
import { at, type Json, type JsonObject, parseStranger } from "../core/json.ts";
import { dead, degrade, judgeStatus, sent } from "../core/post.ts";
import type { Announcement } from "../core/records.ts";
import { secret } from "../core/secret.ts";
import { defang, joinLines, oneLine, truncate, webLink, withoutBackticks } from "../core/text.ts";
import { humanDuration } from "../core/units.ts";
import { chatOptions, defineChat } from "./chat.ts";

const longest = 4_000;

// Google Chat incoming webhook: https://developers.google.com/workspace/chat/quickstart/webhooks
export const googleChat = defineChat({
  kind: "google-chat",
  get options() {
    return chatOptions.extend({ kind: z.literal("google-chat"), url: secret });
  },

  // https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages/create
  limits: { text: longest, unit: "utf16", body: 32_000 },
  can: () => ({ edit: false, thread: true, silent: false, idempotent: false }),
  // A space takes one message a second from all its apps together, and its 429 does not say how long to wait.
  retry: { base_delay_ms: 1000 },
  // https://developers.google.com/workspace/chat/limits
  rate: () => "1/s",

  post(announcement, { url }, { key, subject, threaded, plain = false }) {
    // Without the option the thread's key is ignored; with the option and without a key the message is refused.
    const reply = threaded ? ["&messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"] : [];
    return {
      method: "POST",
      // Asked with an id that it knows, Google answers the message it has, and makes no second one.
      url: [url, ...reply, `&requestId=${key}`],
      body: {
        ...(threaded && { thread: { threadKey: truncate(subject, 512) } }),
        ...(plain ? { text: plainText(announcement) } : card(announcement, key)),
      },
    };
  },

  judge({ status, text }) {
    const reply = read(text);
    if (status === 200) {
      return typeof at(reply, "name") === "string" ? sent() : dead("answered 200 without a message: a proxy or login?");
    }
    const named = at(reply, "error.status");
    const said = `status ${status}${typeof named === "string" && /^[A-Z_]{1,40}$/.test(named) ? `, ${named}` : ""}`;
    if (status === 400)
      return text.includes("API_KEY_INVALID") ? dead(`${said}: key not valid`) : degrade(`${said}: message refused`);
    if (status === 413) return degrade(`${said}: message too large`);
    const verdict = judgeStatus(status);
    if (verdict.verdict === "sent") return dead(`answered ${status}, which no webhook of Google Chat does`);
    return verdict.verdict === "dead" && status >= 400 ? dead(said) : verdict;
  },
});

function card(a: Announcement, key: string): JsonObject {
  const fault = faultOf(a);
  const command = logCommand(a);
  const facts: [name: string, value: string | null][] = [
    ["Workflow", a.issue_key === null ? null : a.workflow],
    ["Branch", a.branch],
    ["Commit", a.commit && shortCommit(a.commit)],
    ["Node", nodeOf(a)],
    ["Duration", a.duration_ms === null ? null : humanDuration(a.duration_ms)],
    [a.state === "cancelled" ? "Why" : "Failed", fault],
    ["Log", command],
  ];
  const widgets = [
    ...(a.summary ? [{ textParagraph: { text: html(a.summary, 500) } }] : []),
    ...facts.flatMap(([topLabel, value]) =>
      value ? [{ decoratedText: { topLabel, text: html(value) || " ", wrapText: true } }] : [],
    ),
    ...buttons(a),
  ];
  const title = heading(`${emoji[a.state]} ${a.issue_key ?? a.workflow} ${a.state}`);
  return {
    fallbackText: defang(withoutBackticks(truncate(oneLine(headline(a)), 1000))),
    cardsV2: [
      { cardId: key.slice(0, 32), card: { header: { title }, ...(widgets.length > 0 && { sections: [{ widgets }] }) } },
    ],
  };
}

function buttons({ run_url, issue_url }: Announcement): Json[] {
  const links = [
    ["Open log", webLink(run_url)],
    ["Open issue", webLink(issue_url)],
  ].flatMap(([text, url]) => (text && url ? [{ text, onClick: { openLink: { url } } }] : []));
  return links.length === 0 ? [] : [{ buttonList: { buttons: links } }];
}

/** The dialect of plain texts knows no escape: strangers' words stand between backticks, where only those end them. */
function plainText(a: Announcement): string {
  const command = logCommand(a);
  const [log, issue] = [webLink(a.run_url), webLink(a.issue_url)];
  const links = [log && `<${log}|log>`, issue && `<${issue}|issue>`];
  const lines = [code(headline(a), 1200), ...links, a.summary && code(a.summary, 500), command && code(command, 50)];
  return joinLines(lines, longest, "utf16");
}

const code = (text: string, limit: number): string =>
  `\`${defang(withoutBackticks(truncate(oneLine(text), limit))) || " "}\``;

/** A card's texts are a subset of HTML. */
const html = (text: string, limit = 300): string =>
  defang(truncate(oneLine(text), limit))
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");

/** Whether a title is HTML is not said anywhere: this reads the same either way. */
const heading = (text: string): string =>
  defang(truncate(oneLine(text), 330).replaceAll("&", "＆").replaceAll("<", "‹").replaceAll(">", "›"));

function read(text: string): Json {
  try {
    return parseStranger(text);
  } catch {
    return null;
  }
}
