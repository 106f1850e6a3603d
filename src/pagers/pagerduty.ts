import { z } from "zod";
import { isObject, type Json, type JsonObject } from "../core/json.ts";
import { outboundOptions } from "../core/outbound.ts";
import { dead, judgeStatus, sent } from "../core/post.ts";
import { secret } from "../core/secret.ts";
import { oneLine, truncate, webLink } from "../core/text.ts";
import { type Alert, definePager } from "./pager.ts";

// PagerDuty Events API v2: https://developer.pagerduty.com/docs/events-api-v2/trigger-events/
export const pagerduty = definePager({
  kind: "pagerduty",

  get options() {
    return outboundOptions.extend({
      kind: z.literal("pagerduty"),
      key: secret,
      base_url: z.url().default("https://events.pagerduty.com"),
    });
  },

  // A 429 asks for a backoff of a few minutes and does not always say so in Retry-After:
  // https://developer.pagerduty.com/docs/events-api-v2-overview#response-codes--retry-logic
  retry: { max_attempts: 8, base_delay_ms: 1000, max_delay_ms: 60_000 },

  // An alert opened under one routing key is not resolved under another; such a resolve is accepted and dropped.
  keyOf: ({ key }) => key,

  page: (alert, { key, base_url }) => ({
    method: "POST",
    url: enqueue(base_url),
    bodySecrets: { routing_key: key },
    body: {
      event_action: "trigger",
      dedup_key: alert.key,
      client: "meshmac",
      payload: {
        summary: line(alert.summary, longestSummary) || alert.key,
        source: line(alert.source, 255) || "meshmac",
        severity: alert.severity,
        timestamp: new Date(alert.at).toISOString(),
        component: line(alert.about, 255) || "meshmac",
        custom_details: detailsOf(alert),
      },
      ...linksOf(alert),
    },
  }),

  resolve: ({ key: dedup_key }, { key, base_url }) => ({
    method: "POST",
    url: enqueue(base_url),
    bodySecrets: { routing_key: key },
    body: { event_action: "resolve", dedup_key },
  }),

  judge({ status, text }) {
    if (status === 202 && accepted(text)) return sent();
    const verdict = judgeStatus(status);
    return verdict.verdict === "sent" ? dead(`answered ${status} but took no event: a proxy or login page?`) : verdict;
  },
});

const longestSummary = 1024;

const enqueue = (base: string): string => `${base.replace(/\/+$/, "")}/v2/enqueue`;

const line = (text: string, limit: number): string => truncate(oneLine(text), limit, "utf16");

/** An event may have 512 KB; with so much of each of so many, ours stay far below. */
const detailsOf = ({ details }: Alert): JsonObject =>
  Object.fromEntries(
    Object.entries(details)
      .slice(0, 40)
      .map(([name, text]) => [name, line(text, 2000)]),
  );

function linksOf({ links }: Alert): { links?: Json } {
  const safe = links.flatMap(({ href, text }) => {
    const url = webLink(href);
    return url === null ? [] : [{ href: url, text: line(text, 200) }];
  });
  return safe.length === 0 ? {} : { links: safe };
}

function accepted(text: string): boolean {
  try {
    const said = JSON.parse(text) as Json;
    return isObject(said) && said.status === "success";
  } catch {
    return false;
  }
}
