import { objectIn } from "../core/json.ts";
import { dead, degrade, handleLost, judgeStatus, type Reply, sent, type Verdict } from "../core/post.ts";
import type { Given } from "./chat.ts";

/** Judges what a Mattermost server says to an incoming webhook or to a bot. */
export function judgeReply({ status, text }: Reply, { edit, thread }: Given): Verdict {
  const said = objectIn(text);
  if (status === 200 || status === 201) {
    if (isPostId(said.id)) return edit === undefined ? sent(said.id) : sent();
    // GET answers 200 for any hook, so a redirect followed by a proxy looks like success; only `ok` is one.
    if (status === 200 && text.trim() === "ok") return sent();
    return dead(`answered ${status} but not as Mattermost does: a proxy or login page?`);
  }
  const id = nameOf(said.id);
  const why = `status ${status}${id === null ? "" : `, ${id}`}`;
  if (edit !== undefined && [400, 403, 404].includes(status) && !aboutLayout(id))
    return handleLost(`${why}: the post is gone, or too old to be edited`);
  if (thread !== undefined && status === 400 && id === badRoot) return handleLost(`${why}: the thread is gone`);
  if (status === 400 || status === 413) {
    if (id === unknownHook) return dead(`${why}: the hook is unknown`);
    return degrade(`${why}: the layout was refused${edit === undefined ? ", or the hook was deleted" : ""}`);
  }
  if (status === 501) return dead("status 501: incoming webhooks are disabled on this server");
  const verdict = judgeStatus(status);
  if (verdict.verdict === "sent") return dead(`answered ${status}, which no incoming webhook does`);
  return "why" in verdict ? { ...verdict, why: verdict.why.replace(`status ${status}`, why) } : verdict;
}

const unknownHook = "web.incoming_webhook.invalid.app_error";
const badRoot = "api.post.create_post.root_id.app_error";

const isPostId = (id: unknown): id is string => typeof id === "string" && /^[a-z0-9]{26}$/.test(id);

/** What a plainer text may mend: it was too long, or its props were. */
const aboutLayout = (id: string | null): boolean => /message_length|props|body_param|attachment/.test(id ?? "");

/** The error's own name. Its message holds the hook's id, which is the secret: no other word of the reply is repeated. */
const nameOf = (id: unknown): string | null => (typeof id === "string" && /^[a-z0-9_.]{1,100}$/.test(id) ? id : null);
