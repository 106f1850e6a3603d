import { z } from "zod";
import { emoji, faultOf, headline, logCommand, nodeOf, shortCommit } from "../core/announcement.ts";
import { at, type Json, parseStranger } from "../core/json.ts";
import { dead, degrade, judgeStatus, retry, sent } from "../core/post.ts";
import type { Announcement } from "../core/records.ts";
import { secret } from "../core/secret.ts";
import { defang, joinLines, oneLine, truncate, webLink, withoutBackticks } from "../core/text.ts";
import { humanDuration } from "../core/units.ts";
import { chatOptions, defineChat } from "./chat.ts";

const longest = 2_000;

// The message tool of an OpenClaw gateway, never its agent hooks: no model reads what strangers wrote.
// https://docs.openclaw.ai/gateway/tools-invoke-http-api
export const openclaw = defineChat({
  kind: "openclaw",
  get options() {
    return chatOptions.extend({
      kind: z.literal("openclaw"),
      base_url: z
        .url({ protocol: /^https?$/, error: "expected a URL like http://127.0.0.1:18789" })
        .transform((url) => url.replace(/\/+$/, ""))
        .prefault("http://127.0.0.1:18789"),
      token: secret,
      channel: z.string().min(1).max(64),
      target: z.string().min(1).max(256),
    });
  },

  // The shortest of the chats behind it, so that none has to split a message.
  limits: { text: longest, unit: "utf16" },
  // The key only names the call; a repeat is sent again.
  can: () => ({ edit: false, thread: false, silent: false, idempotent: false }),

  post(announcement, { base_url, token, channel, target }, { key, plain = false }) {
    const message = plain ? plainly(announcement) : richly(announcement);
    return {
      method: "POST",
      url: `${base_url}/tools/invoke`,
      bearer: token,
      body: { tool: "message", args: { action: "send", channel, target, message }, idempotencyKey: key },
    };
  },

  judge({ status, text }) {
    const reply = read(text);
    const ok = at(reply, "ok");
    const type = at(reply, "error.type");
    const said = `status ${status}${typeof type === "string" && /^\w{1,60}$/.test(type) ? `, ${type}` : ""}`;
    if (status === 200) {
      if (ok === true) return sent();
      return ok === false ? retry(`${said}: not ok`) : dead("answered 200 without ok: not an OpenClaw gateway?");
    }
    if (status === 400 || status === 413) return degrade(`${said}: the call was refused`);
    if (status === 404) return dead(`${said}: the message tool is not allowed, or this is no OpenClaw gateway`);
    const verdict = judgeStatus(status);
    if (verdict.verdict === "sent") return dead(`answered ${status}, which no OpenClaw gateway does`);
    return verdict;
  },
});

function plainly(a: Announcement): string {
  const log = webLink(a.run_url);
  return joinLines([code(headline(a), 800), log && `Log: ${log}`], longest, "utf16");
}

/** Whatever chat shows it: one fact a word, strangers' words between backticks, links bare. */
function richly(a: Announcement): string {
  const fault = faultOf(a);
  const node = nodeOf(a);
  const command = logCommand(a);
  const [log, issue] = [webLink(a.run_url), webLink(a.issue_url)];
  const facts = [
    a.issue_key === null ? null : code(a.workflow),
    a.branch === "" ? null : `on ${code(a.branch, 255)}`,
    a.commit ? `at ${code(shortCommit(a.commit))}` : null,
    node ? `by ${code(node)}` : null,
    a.duration_ms === null ? null : `in ${humanDuration(a.duration_ms)}`,
  ];
  const lines = [
    `${emoji[a.state]} ${code(a.issue_key ?? a.workflow)} ${a.state}`,
    facts.filter(Boolean).join(" "),
    log && `Log: ${log}`,
    fault && `${a.state === "cancelled" ? "Why" : "Failed"}: ${code(fault)}`,
    command && code(command),
    a.summary && code(a.summary, 200),
    issue && `Issue: ${issue}`,
  ];
  return joinLines(lines, longest, "utf16");
}

const code = (text: string, limit = 120): string =>
  `\`${defang(withoutBackticks(truncate(oneLine(text), limit)).replaceAll("|", "¦")) || " "}\``;

function read(text: string): Json {
  try {
    return parseStranger(text);
  } catch {
    return null;
  }
}
