import { z } from "zod";
import { commandOptions } from "../core/command.ts";
import { reportWhen } from "../core/report-when.ts";
import { gitlab as opened } from "../core/verify-presets.ts";
import { readGitlab } from "./gitlab-read.ts";
import { sampleGitlab } from "./gitlab-sample.ts";
import { defineSource, reporterOptions } from "./source.ts";

// https://docs.gitlab.com/user/project/integrations/webhook_events/
export const gitlab = defineSource({
  kind: "gitlab",
  get options() {
    return reporterOptions.omit({ header: true }).extend({
      kind: z.literal("gitlab"),
      report_when: z.array(reportWhen()).optional(),
      commands: commandOptions().optional(),
    });
  },
  verify: () => opened,
  // Four refusals with 4xx in a row, and it never asks again: https://docs.gitlab.com/user/project/integrations/webhooks/#auto-disabled-webhooks
  neverRefuse: true,
  read: readGitlab,
  sample: sampleGitlab,
});
