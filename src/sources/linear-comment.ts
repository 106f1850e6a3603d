import { z } from "zod";
import { at, isObject, type JsonObject, objectIn, text } from "../core/json.ts";
import { markdownComment } from "../core/markdown.ts";
import { outboundOptions } from "../core/outbound.ts";
import { dead, judgeStatus, type Post, type Reply, retry, sent, type Verdict } from "../core/post.ts";
import type { Announcement } from "../core/records.ts";
import { secret } from "../core/secret.ts";
import type { Comment } from "./source.ts";

const options = () =>
  outboundOptions.extend({
    token: secret,
    /** A personal API key goes as it is, an access token of an application as Bearer. */
    auth: z.enum(["api-key", "oauth"]).default("api-key"),
    base_url: z
      .url({ protocol: /^https?$/, error: "expected a URL like https://api.linear.app" })
      .transform((url) => url.replace(/\/+$/, ""))
      .default("https://api.linear.app"),
  });

type Options = z.output<ReturnType<typeof options>>;

/** The comment on an issue, over GraphQL: https://linear.app/developers/graphql */
export const linearComment: Comment<ReturnType<typeof options>> = {
  get options() {
    return options();
  },
  // It says with 400 that we ask too often: https://linear.app/developers/rate-limiting
  retry: { no_retry_on_status: [401, 403, 404] },

  post: (announcement, entry, marker) =>
    query(entry, "mutation($input: CommentCreateInput!) { commentCreate(input: $input) { success comment { id } } }", {
      input: { issueId: issueOf(announcement), body: markdownComment(announcement, marker, { hidden: false }) },
    }),

  find: (announcement, entry, marker) =>
    query(
      entry,
      "query($issue: String!, $marker: String!) { issue(id: $issue) { comments(first: 50, filter: { body: { contains: $marker } }) { nodes { body } } } }",
      { issue: issueOf(announcement), marker },
    ),

  found(reply, marker) {
    const nodes = at(objectIn(reply.text), "data.issue.comments.nodes");
    if (Array.isArray(nodes)) return nodes.some((node) => isObject(node) && text(node.body).includes(marker));
    return judgeComment(reply).verdict === "retry" ? null : false;
  },

  judge: judgeComment,
  refusesPost: ({ status, text: body }) => (status === 200 || status === 400) && isOfTheIssue(faultIn(objectIn(body))),
};

const issueOf = ({ issue_id, issue_key }: Announcement): string => issue_id ?? issue_key ?? "";

function query({ base_url, token, auth }: Options, document: string, variables: JsonObject): Post {
  return {
    method: "POST",
    url: `${base_url}/graphql`,
    ...(auth === "oauth" ? { bearer: token } : { headers: { Authorization: token } }),
    body: { query: document, variables },
  };
}

/** GraphQL answers 200 to what failed too: the body has the last word. */
function judgeComment({ status, text: body }: Reply): Verdict {
  const reply = objectIn(body);
  const fault = faultIn(reply);
  if (fault) return judgeFault(fault, status);
  if (status < 200 || status >= 300) return judgeStatus(status);
  const success = at(reply, "data.commentCreate.success");
  if (success === true) return sent();
  if (success === false) return dead("Linear did not take the comment, without a reason");
  return dead("what answered is not Linear's API; check base_url");
}

interface Fault {
  code: string;
  message: string;
}

function faultIn({ errors }: JsonObject): Fault | null {
  const [first] = Array.isArray(errors) ? errors : [];
  if (!isObject(first)) return null;
  const extensions = isObject(first.extensions) ? first.extensions : {};
  return { code: text(extensions.code) || text(extensions.type), message: text(first.message) };
}

const isOfTheIssue = (fault: Fault | null): boolean =>
  fault !== null && /not found|INPUT|invalid/i.test(`${fault.code} ${fault.message}`) && !/auth/i.test(fault.code);

function judgeFault(fault: Fault, status: number): Verdict {
  const { code } = fault;
  if (/ratelimit/i.test(code)) return retry("Linear's rate limit");
  if (/auth/i.test(code) || status === 401)
    return dead("Linear refused the token: it expired, was revoked, or auth is wrong (api-key, oauth)");
  if (/forbidden/i.test(code) || status === 403) return dead("the token's user may not comment on this issue");
  if (isOfTheIssue(fault)) return dead("Linear knows no such issue, or not to this token's user");
  if (/internal|timeout|lock|unavailable/i.test(code) || status >= 500)
    return { verdict: "retry", why: "Linear failed", unsure: true };
  return dead("Linear refused the comment");
}
