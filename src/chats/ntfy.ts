import { z } from "zod";
import { headline, logCommand } from "../core/announcement.ts";
import { objectIn, text } from "../core/json.ts";
import { factsOf, linksOf, plainly } from "../core/layout.ts";
import { dead, degrade, judgeStatus, retry, sent } from "../core/post.ts";
import type { Announcement, RunState } from "../core/records.ts";
import { secret } from "../core/secret.ts";
import { defang, oneLine, truncate, unlinked } from "../core/text.ts";
import { webRoot } from "../core/web-root.ts";
import { chatOptions, defineChat } from "./chat.ts";

// ntfy, published as JSON: https://docs.ntfy.sh/publish/#publish-as-json
export const ntfy = defineChat({
  kind: "ntfy",

  get options() {
    return chatOptions.extend({
      kind: z.literal("ntfy"),
      topic: z.string().regex(/^[\w-]{1,64}$/, { error: "expected a topic: letters, digits, _ -, at most 64" }),
      base_url: webRoot.default("https://ntfy.sh"),
      token: secret.optional(),
    });
  },

  // A longer message becomes an attachment.
  limits: { text: 4096, unit: "bytes" },
  can: () => ({ edit: true, thread: false, silent: true, idempotent: true }),
  // A server as shipped gives a visitor one request back every five seconds: https://docs.ntfy.sh/config/#rate-limiting
  rate: () => "12/m",

  post(announcement, { topic, base_url, token }, { key, edit = sequenceOf(key), plain }) {
    // What is published under one sequence id is one notification, so a second try makes no second one. Servers before
    // 2.16 do not know the key and show each anew: https://docs.ntfy.sh/publish/#updating-deleting-notifications
    const layout = plain ? plainLayout(announcement) : richLayout(announcement);
    return {
      method: "POST",
      url: `${base_url}/`,
      ...(token && { bearer: token }),
      body: { topic, sequence_id: edit, ...layout },
    };
  },

  judge({ status, headers, ...reply }, { key, edit }) {
    const said = objectIn(reply.text);
    if (status === 200) {
      if (text(said.id) === "") return dead("answered 200 but not as ntfy does: a proxy or login page?");
      return edit === undefined ? sent(sequenceOf(key)) : sent();
    }
    const code = text(said.code);
    const why = `status ${status}${/^\d{5}$/.test(code) ? `, ntfy error ${code}` : ""}`;
    if (code === dailyQuota) return retry(`${why}: the day's messages are used up`, untilMidnight(headers));
    if (status === 400 || status === 413) return degrade(why);
    const verdict = judgeStatus(status);
    if (verdict.verdict === "sent") return dead(`answered ${status}, which ntfy does not`);
    return "why" in verdict ? { ...verdict, why: verdict.why.replace(`status ${status}`, why) } : verdict;
  },
});

// 1 is silent, 2 makes no sound, 3 is the default, 5 rings until somebody looks: https://docs.ntfy.sh/publish/#message-priority
const priority: Record<RunState, number> = { queued: 2, running: 2, succeeded: 3, failed: 4, cancelled: 2, dead: 5 };

const tag: Record<RunState, string> = {
  queued: "clock3",
  running: "hammer",
  succeeded: "white_check_mark",
  failed: "x",
  cancelled: "no_entry_sign",
  dead: "skull",
};

const longest = 200;
const room = 4000;

function richLayout(a: Announcement) {
  const [first, ...others] = linksOf(a);
  const command = logCommand(a);
  const lines = [...factsOf(a, longest).map(plainly), command ?? ""].filter((line) => line !== "");
  return {
    title: safe(`${truncate(oneLine(a.issue_key ?? a.workflow), longest)} ${a.state}`),
    message: truncate(lines.join("\n"), room, "bytes") || a.state,
    priority: priority[a.state],
    tags: [tag[a.state]],
    // What is tapped on stands beside the text.
    ...(first && { click: first.url }),
    ...(others.length > 0 && { actions: others.map(({ link, url }) => ({ action: "view", label: link, url })) }),
  };
}

function plainLayout(a: Announcement) {
  const link = linksOf(a)[0]?.url ?? "";
  const line = truncate(safe(truncate(oneLine(headline(a)), 1500)), room - link.length - 1, "bytes");
  return { message: link === "" ? line : `${line}\n${link}` };
}

/** A sequence id is one path segment of at most 64 characters. */
const sequenceOf = (key: string): string => key.slice(0, 32);

const safe = (raw: string): string => unlinked(defang(raw));

const dailyQuota = "42908";
const day = 86_400_000;

/** Milliseconds until the server's own midnight in UTC, when it counts anew; half a day where it does not say its time. */
function untilMidnight(headers: Headers): number {
  const time = Date.parse(headers.get("date") ?? "");
  return Number.isNaN(time) ? day / 2 : day - (time % day) + 60_000;
}
