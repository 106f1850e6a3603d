import { z } from "zod";
import { hubSignature, inHeader } from "../core/verify-presets.ts";
import { jiraComment } from "./jira-comment.ts";
import { issuePaths } from "../core/issue-paths.ts";
import { readJira } from "./jira-read.ts";
import { jiraSearch } from "./jira-search.ts";
import { sampleJira } from "./jira-sample.ts";
import { defineSource, sourceOptions } from "./source.ts";

// Jira Automation's "Send web request": https://support.atlassian.com/cloud-automation/docs/jira-automation-actions/
// Native webhooks: https://developer.atlassian.com/cloud/jira/platform/webhooks/
export const jira = defineSource({
  kind: "jira",
  get options() {
    return sourceOptions.extend({ kind: z.literal("jira"), paths: issuePaths.optional() });
  },
  verify: ({ header }) => ({
    ...inHeader(header ?? "X-Meshmac-Jira-Token"),
    signature: hubSignature("X-Hub-Signature"),
  }),
  badJsonHint:
    "a quote or line break in a smart value breaks the JSON: write {{issue.summary.asJsonString}} without quotes around it",
  read: readJira,
  sample: sampleJira,
  comment: jiraComment,
  search: jiraSearch,
});
