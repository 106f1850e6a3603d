import type { Report } from "../../src/core/records.ts";
import type { Notified } from "../../src/gateway/notify.ts";
import { type Preview, printedBy } from "../../src/gateway/notify-preview.ts";
import type { Told } from "../../src/gateway/notify-trial.ts";
import type { PostRow } from "../../src/stores/store.ts";
import { plain } from "../runs/text.ts";

/** What a user calls the destination of a post. */
export const chatOf = ({ destination }: Pick<PostRow, "destination">): string => destination.replace(/^chat:/, "");

/** Says, a line each, which chats have been told and what else there is to know. */
export function describeTold({ outcome, sender, posts }: Notified, { state, provider_run_id }: Report): string[] {
  if (outcome === "seen") return [plain(`told before: ${state} of ${provider_run_id}`)];
  if (outcome === "unheard") return [`no chat hears ${state} of notify`];
  if (outcome === "handed_in")
    return [`handed in; ${sender === "gateway" ? "the gateway" : "the next gateway that starts"} tells the chats`];
  return posts.flatMap((post) => {
    if (post.status === "replaced") return [`${chatOf(post)} was told something newer already`];
    if (post.status !== "sent") return [];
    const doubt = post.unsure ? ", maybe twice: an earlier try was never answered" : "";
    return [`told ${chatOf(post)}${post.tries > 1 ? ` at try ${post.tries}` : ""}${doubt}`];
  });
}

/** Names the chats that have not been told, each with the reason. */
export function reasonsOf(posts: PostRow[]): string {
  const untold = posts.filter(({ status }) => status !== "sent" && status !== "replaced");
  return untold.map((post) => plain(`${chatOf(post)} (${post.why ?? `${post.tries} tries`})`)).join(", ");
}

/** Writes a request as it would leave, secrets by name. */
export function describePreview({ chat, kind, request }: Preview): string {
  const head = `${chat} (${kind})`;
  const printed = printedBy(request);
  if (printed !== null) return `${head} prints\n${plain(printed)}`;
  const { method, url, headers, body } = request;
  const lines = [head, `${method} ${url}`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)];
  if (body !== null) lines.push("", ...JSON.stringify(body, null, 2).split("\n"));
  return lines.map(plain).join("\n");
}

/** Says what a chat or a pager answered to a test. */
export function describeTrial(name: string, { kind, verdict, status, why }: Told & { kind: string }): string {
  const said = status === null ? verdict : `status ${status}, ${verdict}`;
  return plain(`${name} (${kind}): ${said}${why === null ? "" : `: ${why}`}`);
}
