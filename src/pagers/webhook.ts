import { z } from "zod";
import { sha256 } from "../core/intent.ts";
import { outboundOptions } from "../core/outbound.ts";
import { judgeStatus, type Post } from "../core/post.ts";
import { secret } from "../core/secret.ts";
import { oneLine, truncate, webLink } from "../core/text.ts";
import { type Alert, definePager } from "./pager.ts";

// Any receiver of Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
const options = () => outboundOptions.extend({ kind: z.literal("webhook"), url: secret, key: secret.optional() });

export const webhook = definePager({
  kind: "webhook",
  get options() {
    return options();
  },
  page: (alert, entry) => post("alert.opened", alert, entry),
  resolve: (alert, entry) => post("alert.resolved", alert, entry),
  // Any 2xx is a success and nothing else is; whoever answers 410 wants no more.
  judge: ({ status }) => judgeStatus(status),
});

function post(
  type: "alert.opened" | "alert.resolved",
  alert: Alert,
  { url, key }: z.output<ReturnType<typeof options>>,
): Post {
  // The same at every try of one message, and another when the same fault comes back.
  const id = sha256(JSON.stringify([type, alert.key, alert.at]));
  return {
    method: "POST",
    url,
    ...(key ? { sign: { scheme: "standard-webhooks", id, key } } : { headers: { "webhook-id": id } }),
    body: {
      type,
      timestamp: new Date(alert.at).toISOString(),
      data: {
        key: alert.key,
        about: line(alert.about, 255),
        summary: line(alert.summary, 1000),
        source: line(alert.source, 255),
        severity: alert.severity,
        links: alert.links.flatMap(({ href, text }) => {
          const safe = webLink(href);
          return safe === null ? [] : [{ href: safe, text: line(text, 200) }];
        }),
        details: Object.fromEntries(Object.entries(alert.details).map(([name, text]) => [name, line(text, 2000)])),
      },
    },
  };
}

const line = (text: string, limit: number): string => truncate(oneLine(text), limit);
