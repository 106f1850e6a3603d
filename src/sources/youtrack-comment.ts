import { z } from "zod";
import { emoji, shortCommit } from "../core/announcement.ts";
import { codeSpan as code } from "../core/markdown.ts";
import { outboundOptions } from "../core/outbound.ts";
import { dead, judgeStatus, type Post, type Reply, retry, sent, type Verdict } from "../core/post.ts";
import type { Announcement } from "../core/records.ts";
import { plainLine } from "../core/plain.ts";
import { type Secret, secret } from "../core/secret.ts";
import { webLink } from "../core/text.ts";
import { shortLine } from "../core/words.ts";
import type { Comment } from "./source.ts";

const options = () =>
  outboundOptions.extend({
    site: z
      .url({ protocol: /^https?$/, error: "expected a URL like https://acme.youtrack.cloud" })
      .transform((url) => url.replace(/\/+$/, "")),
    token: secret,
  });

export type Options = z.output<ReturnType<typeof options>>;

/**
 * The comment on the issue, in under five lines of Markdown.
 * https://www.jetbrains.com/help/youtrack/devportal/resource-api-issues-issueID-comments.html
 */
export const youtrackComment: Comment<ReturnType<typeof options>> = {
  get options() {
    return options();
  },

  post: (announcement, entry, marker) => ({
    method: "POST",
    url: `${commentsOf(announcement, entry)}?fields=id,text`,
    headers: { Accept: "application/json" },
    bearer: entry.token,
    body: { text: fourLines(announcement, marker), usesMarkdown: true },
  }),

  // The list begins with the oldest and cannot be turned round, so it must be long enough to hold the newest.
  find: (announcement, entry) => ({
    method: "GET",
    url: `${commentsOf(announcement, entry)}?fields=id,text&$top=500`,
    headers: { Accept: "application/json" },
    bearer: entry.token,
  }),

  found: ({ text }, marker) => text.includes(marker),

  judge: judgeComment,

  probes: ({ site, token }) => [
    {
      finding: "tracker-credentials-refused",
      ask: askOf(`${site}/api/users/me?fields=id`, token),
      fault: credentialsFault,
      fix: "mint a permanent token in Hub for a user of this site, and write it into the file that comment.token names",
    },
    {
      finding: "youtrack-token-too-strong",
      // Answered to Low-level Admin Read alone: https://www.jetbrains.com/help/youtrack/cloud/collect-performance-metrics.html
      ask: askOf(`${site}/api/admin/telemetry?fields=id`, token),
      fault: ({ status, text }) =>
        status === 200 && text.trimStart().startsWith("{") ? "the token's user may administer YouTrack" : null,
      fix: "mint the token for a user who may only read issues and comment in the projects that build",
    },
  ],
};

const askOf = (url: string, bearer: Secret): Post => ({
  method: "GET",
  url,
  headers: { Accept: "application/json" },
  bearer,
});

function credentialsFault({ status, text }: Reply): string | null {
  if (status === 401) return "YouTrack refused the token (401): it was revoked, or belongs to another site";
  if (status === 404) return "there is no YouTrack at site (404): does it lack its path (…/youtrack)?";
  return status === 200 && text.trimStart().startsWith("<") ? "a web page answered in place of YouTrack's API" : null;
}

/** The id goes as it was delivered: YouTrack takes the readable and the internal one. */
const commentsOf = ({ issue_id, issue_key }: Announcement, { site }: Options): string =>
  `${site}/api/issues/${encodeURIComponent(issue_id ?? issue_key ?? "")}/comments`;

function fourLines(a: Announcement, marker: string): string {
  const node = a.mesh_node_id === null ? "no node" : plain(a.mesh_node_id);
  const lastLine = a.log_tail.findLast((line) => plainLine(line, longestLine).trim() !== "");
  const lines = [
    a.commit ? `${emoji[a.state]} ${a.state} · ${plain(shortCommit(a.commit))}` : `${emoji[a.state]} ${a.state}`,
    a.attempt === null ? node : `${node} (attempt ${a.attempt})`,
    code(a.failing_target || lastLine || a.reason || ""),
    `${webLink(a.run_url) ?? code(`meshmac runs logs ${a.provider_run_id}`)} <!-- ${marker} -->`,
  ];
  // Two spaces before a line end: a line break in every Markdown.
  return lines.filter(Boolean).join("  \n");
}

const longestLine = 300;

/** Leaves only what means nothing to Markdown. */
const plain = (stranger: string): string => shortLine(stranger, 64).replace(/[^\p{L}\p{N}._-]/gu, "") || "unknown";

const causes: Record<number, string> = {
  400: "YouTrack refused the comment (400)",
  401: "YouTrack refused the token (401): it was revoked, or belongs to another site",
  403: "the token's user may not comment on this issue (403): give it Read Issue and Create Comment in the project",
  404: "YouTrack shows the token's user no such issue (404): the issue is gone, the user may not read the project, or site lacks its path (…/youtrack)",
};

function judgeComment({ status, text }: Reply): Verdict {
  if (status === 409) return retry("status 409: the issue was being changed");
  if (status >= 200 && status < 300) {
    return text.trimStart().startsWith("<")
      ? dead("a web page answered in place of YouTrack's API; check site")
      : sent();
  }
  const cause = causes[status];
  return cause === undefined ? judgeStatus(status) : dead(cause);
}
