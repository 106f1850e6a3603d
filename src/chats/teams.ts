import { z } from "zod";
import { emoji, faultOf, headline, logCommand, nodeOf, shortCommit } from "../core/announcement.ts";
import { at, type Json, type JsonObject, parseStranger } from "../core/json.ts";
import { dead, degrade, judgeStatus, retry, sent } from "../core/post.ts";
import type { Announcement, RunState } from "../core/records.ts";
import { secret } from "../core/secret.ts";
import { defang, oneLine, truncate, webLink } from "../core/text.ts";
import { humanDuration } from "../core/units.ts";
import { chatOptions, defineChat } from "./chat.ts";

// A Teams workflow, "When a Teams webhook request is received":
// https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
export const teams = defineChat({
  kind: "teams",
  get options() {
    return chatOptions.extend({ kind: z.literal("teams"), url: secret });
  },

  // The workflow answers 202 and drops later what is over 28 KB, all of it counted: we stay well below.
  limits: { text: 24_576, unit: "bytes", body: 24_576 },
  can: () => ({ edit: false, thread: false, silent: false, idempotent: false }),
  // More than four requests a second are throttled:
  // https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook
  rate: () => "4/s",
  refuseUrl,

  post(announcement, { url }, { plain = false }) {
    const content = {
      $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
      type: "AdaptiveCard",
      version: "1.4", // Teams promises no later one to workflows
      fallbackText: literal(headline(announcement), 1000),
      ...(plain ? plainly(announcement) : richly(announcement)),
      ...actions(announcement),
    };
    const attachment = { contentType: "application/vnd.microsoft.card.adaptive", contentUrl: null, content };
    return { method: "POST", url, body: { type: "message", attachments: [attachment] } };
  },

  judge({ status, text }) {
    if (status >= 200 && status < 300) {
      // Connectors told their throttling by a 200, and relays that were built for them still do.
      if (/returned HTTP error 429/.test(text)) return retry("answered 200, but was throttled behind it");
      return /^\s*<(!doctype|html)/i.test(text) ? dead(`answered ${status} with a page: a proxy or login?`) : sent();
    }
    const code = errorCode(text);
    const said = `status ${status}${code === null ? "" : `, ${code}`}`;
    if (status === 400) return code !== null && deadFlows.test(code) ? dead(said) : degrade(`${said}: card refused`);
    if (status === 413) return degrade(`${said}: card too large`);
    const verdict = judgeStatus(status);
    return verdict.verdict === "dead" && code !== null ? dead(said) : verdict;
  },
});

const deadFlows = /^DirectApi|^WorkflowTriggerIsNotEnabled$|^WorkflowNotFound$/;

/** Connectors were retired in May 2026; a workflow's address without its signature lets in only people of the tenant. */
function refuseUrl({ hostname, searchParams }: URL): string | null {
  if (/(^|\.)webhook\.office\.com$|^outlook\.office(365)?\.com$/i.test(hostname))
    return 'Office 365 connectors are retired; make a workflow from the template "Send webhook alerts to a channel" and use its URL';
  if (/\.(logic\.azure\.com|api\.powerplatform\.com)$/i.test(hostname) && !searchParams.get("sig"))
    return 'the workflow\'s URL has no sig= in it; set "Who can trigger the flow" to anyone, and copy the URL whole';
  return null;
}

const color: Record<RunState, string> = {
  queued: "default",
  running: "accent",
  succeeded: "good",
  failed: "attention",
  cancelled: "default",
  dead: "attention",
};

/** Strangers' words stand in text runs, which know no Markdown. */
function richly(a: Announcement): JsonObject {
  const fault = faultOf(a);
  const node = nodeOf(a);
  const command = logCommand(a);
  const facts: [name: string, value: string | null, monospace?: boolean][] = [
    ["Workflow", a.issue_key === null ? null : a.workflow, true],
    ["Branch", a.branch || null, true],
    ["Commit", a.commit && shortCommit(a.commit), true],
    ["Node", node, true],
    ["Duration", a.duration_ms === null ? null : humanDuration(a.duration_ms)],
    [a.state === "cancelled" ? "Why" : "Failed", fault, true],
    ["Log", command, true],
  ];
  const title = run(`${emoji[a.state]} ${a.issue_key ?? a.workflow} ${a.state}`, {
    size: "large",
    weight: "bolder",
    color: color[a.state],
  });
  const lines = facts.flatMap(([name, value, monospace]) =>
    value
      ? [
          rich(
            { type: "TextRun", text: `${name}: `, isSubtle: true },
            run(value, monospace ? { fontType: "monospace" } : {}),
          ),
        ]
      : [],
  );
  return { body: [rich(title), ...(a.summary ? [rich(run(a.summary, {}, 500))] : []), ...lines] };
}

const rich = (...inlines: Json[]): JsonObject => ({ type: "RichTextBlock", inlines });
const run = (text: string, look: JsonObject, limit = 330): JsonObject => ({
  type: "TextRun",
  text: literal(text, limit) || " ",
  ...look,
});

function plainly(a: Announcement): JsonObject {
  const more = [a.summary, logCommand(a)].flatMap((text) => (text ? [block(text, 500)] : []));
  return { body: [block(headline(a), 1000), ...more] };
}

/** A text block reads Markdown: what could begin some is escaped, and what that leaves over is broken. */
const block = (text: string, limit: number): JsonObject => ({
  type: "TextBlock",
  text: literal(text, limit)
    .replace(/[\\`*_~[\]]/g, "\\$&")
    .replace(/^(?=[#>+-]|\d+[.)])/, "\u200B"),
  wrap: true,
});

/** Cleaned of what no text of ours may hold; the gap behind `]` and `<` keeps it from reading as a link or mention to anything. */
const literal = (text: string, limit: number): string =>
  defang(truncate(oneLine(text), limit)).replaceAll("](", "]\u200B(");

function actions({ run_url, issue_url }: Announcement): JsonObject {
  const links = [open("Log", run_url), open("Issue", issue_url)].filter((action) => action !== null);
  return links.length === 0 ? {} : { actions: links };
}

function open(title: string, link: string | null): JsonObject | null {
  const url = webLink(link);
  return url === null ? null : { type: "Action.OpenUrl", title, url };
}

/** The error's own name; its message may quote the address, which is the secret. */
function errorCode(text: string): string | null {
  try {
    const code = at(parseStranger(text), "error.code");
    return typeof code === "string" && /^[A-Za-z]{1,60}$/.test(code) ? code : null;
  } catch {
    return null;
  }
}
