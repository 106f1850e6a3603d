import { z } from "zod";
import { headline } from "../core/announcement.ts";
import type { JsonObject } from "../core/json.ts";
import { degrade, judgeStatus } from "../core/post.ts";
import type { Announcement } from "../core/records.ts";
import { secret } from "../core/secret.ts";
import { defang, oneLine, stripControls, truncate, webLink } from "../core/text.ts";
import { chatOptions, defineChat } from "./chat.ts";

// Anything else that takes JSON, signed so that it can tell us from others: https://www.standardwebhooks.com
export const webhook = defineChat({
  kind: "webhook",
  get options() {
    return chatOptions.extend({ kind: z.literal("webhook"), url: secret, key: secret.optional() });
  },

  // A receiver's own limit is not ours to know; what strangers can make us send is.
  limits: { text: 2_000, unit: "codepoints", body: 131_072 },
  // A receiver knows a repeat by its `webhook-id`.
  can: () => ({ edit: false, thread: false, silent: false, idempotent: true }),

  post(announcement, { url, key }, { key: id, subject, plain = false }) {
    return {
      method: "POST",
      url,
      ...(key ? { sign: { scheme: "standard-webhooks" as const, id, key } } : { headers: { "webhook-id": id } }),
      body: {
        version: "1",
        event: "build.state",
        id,
        subject: clean(subject),
        text: defang(truncate(oneLine(headline(announcement)), 1000)),
        ...facts(announcement),
        ...(!plain && { log_tail: announcement.log_tail.map((line) => clean(line, 1000)) }),
      },
    };
  },

  judge({ status }) {
    if (status === 400 || status === 413 || status === 422) return degrade(`status ${status}: the body was refused`);
    return judgeStatus(status);
  },
});

/** The announcement's own fields, those that are unknown left out. Texts are data here: cleaned, not escaped. */
function facts({ run_url, issue_url, ...known }: Announcement): JsonObject {
  const links = { run_url: webLink(run_url), issue_url: webLink(issue_url) };
  const scalars = Object.entries(known).filter(([, value]) => !Array.isArray(value));
  const texts = scalars.map(([name, value]) => [name, typeof value === "string" ? clean(value) : value]);
  return Object.fromEntries([...texts, ...Object.entries(links)].filter(([, value]) => value !== null));
}

const clean = (text: string, limit = 500): string => truncate(stripControls(text).replace(/\s/g, " "), limit);
