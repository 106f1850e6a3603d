import { type JsonObject, objectIn } from "../core/json.ts";
import { dead, degrade, handleLost, judgeStatus, type Reply, retry, sent, type Verdict } from "../core/post.ts";
import type { Given } from "./chat.ts";

/** Judges what a webhook (a bare word) or the Web API (JSON, its errors in a 200 too) answered; repeats only an error's own name. */
export function judge({ status, text }: Reply, { edit, thread }: Given): Verdict {
  const reply = objectIn(text);
  const error = nameIn(reply, text);
  const said = `status ${status}${error === null ? "" : `, ${error}`}`;
  if (status === 200) {
    if (text.trim() === "ok") return sent();
    if (reply.ok === true) return taken(reply);
    if (reply.ok !== false) return dead("answered 200 but not ok: a proxy or login page?");
    return refused(error ?? "", said, edit !== undefined || thread !== undefined);
  }
  if (status === 429) return retry(said, typeof reply.retry_after === "number" ? reply.retry_after * 1000 : undefined);
  if (status === 400 || status === 413)
    return error !== null && deadHooks.has(error) ? dead(said) : degrade(`${said}: the layout was refused`);
  if (status === 501) return dead(said);
  const verdict = judgeStatus(status);
  if (verdict.verdict === "sent") return dead(`answered ${status}, which Slack never does`);
  if (verdict.verdict === "retry") return retry(said);
  return status >= 400 ? dead(said) : verdict;
}

/** An edit needs the channel's id, whatever name was posted to. */
function taken({ channel, ts }: JsonObject): Verdict {
  if (typeof channel === "string" && typeof ts === "string" && /^[A-Z0-9]+$/.test(channel) && /^\d+\.\d+$/.test(ts))
    return sent(`${channel}:${ts}`);
  return dead("answered ok without saying which message: not the address of a webhook or of the Web API?");
}

/** What the Web API says in a 200. What it does not name here, another try would meet again. */
function refused(error: string, said: string, hadHandle: boolean): Verdict {
  if (hadHandle && lost.has(error)) return handleLost(said);
  if (perhapsTaken.has(error)) return { verdict: "retry", why: said, unsure: true };
  if (passing.has(error)) return retry(said);
  return layout.test(error) ? degrade(`${said}: the layout was refused`) : dead(said);
}

// https://docs.slack.dev/reference/methods/chat.postMessage#errors and chat.update#errors
const passing = new Set(["ratelimited", "rate_limited", "service_unavailable", "team_added_to_org"]);
// "Some aspect of the operation may have succeeded before the error was raised."
const perhapsTaken = new Set(["internal_error", "fatal_error", "request_timeout"]);
const lost = new Set([
  "message_not_found",
  "cant_update_message",
  "edit_window_closed",
  "is_inactive",
  "thread_not_found",
  "cannot_reply_to_message",
  "restricted_action_thread_locked",
]);
const layout =
  /^(msg_(blocks_)?too_long|invalid_(blocks|blocks_format|attachments|arguments|metadata_\w+)|too_many_attachments|no_text|metadata_too_large)$/;
// The words of a 400 that another layout would meet again.
const deadHooks = new Set(["invalid_token", "user_not_found", "channel_not_found", "no_service", "no_team"]);

function nameIn(reply: JsonObject, text: string): string | null {
  const name = reply.error ?? text.trim();
  return typeof name === "string" && /^[a-z0-9_]{1,100}$/.test(name) ? name : null;
}
