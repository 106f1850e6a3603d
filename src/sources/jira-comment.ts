import { dead, judgeStatus, type Reply, retry, sent, type Verdict } from "../core/post.ts";
import type { Announcement } from "../core/records.ts";
import { adfBody } from "./jira-adf.ts";
import { jiraProbes } from "./jira-probes.ts";
import { apiOf, asWhom, fields, type Options } from "./jira-rest.ts";
import { wikiBody } from "./jira-wiki.ts";
import type { Comment } from "./source.ts";

const options = () =>
  fields().refine((entry) => apiOf(entry) === "datacenter" || entry.email !== undefined, {
    error: "Jira Cloud needs the e-mail address of the account that the token belongs to",
    path: ["email"],
  });

/**
 * The comment on the issue: Atlassian Document Format over v3 on Cloud, wiki markup over v2 on Data Center.
 * https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-comments/
 */
export const jiraComment: Comment<ReturnType<typeof fields>> = {
  get options() {
    return options();
  },
  retry: { jitter_ratio: 0.25 },

  post(announcement, entry, marker) {
    const body =
      apiOf(entry) === "cloud"
        ? {
            body: adfBody(announcement, marker),
            properties: [{ key: "meshmac.run", value: { k: marker, run: announcement.provider_run_id } }],
          }
        : { body: wikiBody(announcement, marker) };
    return { method: "POST", url: commentsOf(announcement, entry), ...asWhom(entry), body };
  },

  find(announcement, entry) {
    const url = `${commentsOf(announcement, entry)}?orderBy=-created&maxResults=50`;
    return { method: "GET", url, ...asWhom(entry) };
  },

  found: ({ text }, marker) => text.includes(marker),

  // https://support.atlassian.com/atlassian-account/docs/manage-api-tokens-for-your-atlassian-account/
  tokenLife: (entry) => (apiOf(entry) === "cloud" ? 365 * 86_400_000 : null),

  judge: judgeComment,
  probes: jiraProbes,
};

function commentsOf({ issue_key, issue_id }: Announcement, entry: Options): string {
  const version = apiOf(entry) === "cloud" ? 3 : 2;
  const issue = encodeURIComponent(issue_key ?? issue_id ?? "");
  return `${entry.base_url ?? entry.site}/rest/api/${version}/issue/${issue}/comment`;
}

// What Jira means by its refusals differs from what it says: scoped tokens used on the site's own address answer 404.
const causes: Record<number, string> = {
  400: "Jira refused the comment's body (400)",
  401: "Jira refused the credentials (401): the token expired, was revoked, belongs to another e-mail address, or is a scoped one, which needs base_url https://api.atlassian.com/ex/jira/<cloud id>",
  403: "the account may not comment on this issue (403): give it Browse Projects and Add Comments",
  404: "Jira shows this account no such issue (404): the issue is gone, the account may not browse the project, or the token is a scoped one, which needs base_url https://api.atlassian.com/ex/jira/<cloud id>",
  413: "the comment is too long for Jira (413)",
};

function judgeComment({ status, text }: Reply): Verdict {
  if (status === 409) return retry("status 409: the issue was being changed");
  if (status >= 200 && status < 300) {
    // A login page in front of Jira answers 200 to everything.
    return text.trimStart().startsWith("<") ? dead("a web page answered in place of Jira's API; check site") : sent();
  }
  const cause = causes[status];
  return cause === undefined ? judgeStatus(status) : dead(cause);
}
