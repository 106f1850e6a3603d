import { z } from "zod";
import { isObject, objectIn, text } from "../core/json.ts";
import { markdownComment } from "../core/markdown.ts";
import { outboundOptions } from "../core/outbound.ts";
import { dead, judgeStatus, type Post, type Reply, retry, sent, type Verdict } from "../core/post.ts";
import type { Announcement } from "../core/records.ts";
import { secret } from "../core/secret.ts";
import type { Comment } from "./source.ts";

const options = () =>
  outboundOptions.extend({
    token: secret,
    base_url: z
      .url({ protocol: /^https?$/, error: "expected a URL like https://api.github.com" })
      .transform((url) => url.replace(/\/+$/, ""))
      .default("https://api.github.com"),
  });

type Options = z.output<ReturnType<typeof options>>;

const hour = 3_600_000;

/**
 * The comment on an issue or a pull request; a push has none to comment on.
 * https://docs.github.com/en/rest/issues/comments#create-an-issue-comment
 */
export const githubComment: Comment<ReturnType<typeof options>> = {
  get options() {
    return options();
  },
  // 403 is also how it says that we ask too often: the adapter tells the two apart.
  retry: { no_retry_on_status: [400, 401, 404] },

  takes: (announcement) => placeOf(announcement) !== null,

  post: (announcement, entry, marker) => ({
    ...request(commentsOf(announcement, entry), entry),
    method: "POST",
    body: { body: markdownComment(announcement, marker, { hidden: true }) },
  }),

  // The list begins with the oldest and cannot be turned round: ask only for what came after the state did.
  find(announcement, entry) {
    const since = new Date(announcement.at - hour).toISOString();
    return { ...request(`${commentsOf(announcement, entry)}?per_page=100&since=${since}`, entry), method: "GET" };
  },

  found: ({ text: listed }, marker) => listed.includes(marker),

  judge: judgeComment,
};

/** `acme/app/issues/12` of the link that the reader made; null where the task is about no issue. */
function placeOf({ issue_url }: Announcement): string | null {
  const path = URL.parse(issue_url ?? "")?.pathname ?? "";
  const [, repository, number] = /^\/([\w-]+\/[\w.-]+)\/(?:issues|pull)\/(\d+)$/.exec(path) ?? [];
  return number === undefined ? null : `${repository}/issues/${number}`;
}

const commentsOf = (announcement: Announcement, { base_url }: Options): string =>
  `${base_url}/repos/${placeOf(announcement) ?? "unknown"}/comments`;

const request = (url: string, { token }: Options): Pick<Post, "url" | "headers" | "bearer"> => ({
  url,
  headers: { Accept: "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28" },
  bearer: token,
});

const causes: Record<number, string> = {
  401: "GitHub refused the token (401): it expired or was revoked",
  403: "the token may not comment on this issue (403): give it Issues: write (and Pull requests: write), or the conversation is locked",
  404: "GitHub shows this token no such issue (404): the issue is gone, or the token has no access to the repository",
  410: "the repository's issues are switched off, or this one was deleted (410)",
  422: "GitHub refused the comment (422)",
};

function judgeComment(reply: Reply): Verdict {
  const { status, headers, text: body } = reply;
  if (status >= 200 && status < 300) {
    return body.trimStart().startsWith("<")
      ? dead("a web page answered in place of GitHub's API; check base_url")
      : sent();
  }
  // https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit
  if ((status === 403 || status === 429) && asksForRest(reply))
    return retry("GitHub's rate limit", untilReset(headers));
  const cause = causes[status];
  return cause === undefined ? judgeStatus(status) : dead(cause);
}

function asksForRest({ headers, text: body, status }: Reply): boolean {
  if (status === 429 || headers.has("retry-after") || headers.get("x-ratelimit-remaining") === "0") return true;
  const said = objectIn(body);
  return isObject(said) && /rate limit/i.test(text(said.message));
}

/** Milliseconds until the limit is lifted, by GitHub's own clock. */
function untilReset(headers: Headers): number | undefined {
  const reset = Number(headers.get("x-ratelimit-reset")) * 1000;
  const now = Date.parse(headers.get("date") ?? "");
  return headers.get("x-ratelimit-remaining") === "0" && reset > now ? reset - now : undefined;
}
