import { z } from "zod";
import { reportWhen } from "../core/report-when.ts";
import { defineSource, reporterOptions } from "./source.ts";
import { issuePaths } from "../core/issue-paths.ts";
import { readWebhook, webhookReport } from "./webhook-read.ts";
import { sampleWebhook } from "./webhook-sample.ts";
import { verifyOf, webhookVerify } from "./webhook-verify.ts";

// Anything that can post JSON: signed as https://www.standardwebhooks.com say, or with a token in a header.
export const webhook = defineSource({
  kind: "webhook",
  get options() {
    return reporterOptions.extend({
      kind: z.literal("webhook"),
      verify: webhookVerify().optional(),
      paths: issuePaths.default({}),
      report: webhookReport().optional(),
      report_when: z.array(reportWhen()).optional(),
    });
  },
  verify: verifyOf,
  badJsonHint: "send one JSON object; text that people type has to be escaped",
  read: readWebhook,
  sample: sampleWebhook,
});
