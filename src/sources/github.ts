import { z } from "zod";
import { commandOptions } from "../core/command.ts";
import { reportWhen } from "../core/report-when.ts";
import { github as opened } from "../core/verify-presets.ts";
import { githubComment } from "./github-comment.ts";
import { readGithub } from "./github-read.ts";
import { sampleGithub } from "./github-sample.ts";
import { defineSource, reporterOptions } from "./source.ts";

// https://docs.github.com/en/webhooks/webhook-events-and-payloads
export const github = defineSource({
  kind: "github",
  get options() {
    return reporterOptions.omit({ header: true }).extend({
      kind: z.literal("github"),
      site: z
        .url({ protocol: /^https?$/, error: "expected a URL like https://github.com" })
        .transform((url) => url.replace(/\/+$/, ""))
        .default("https://github.com"),
      report_when: z.array(reportWhen()).optional(),
      commands: commandOptions().optional(),
    });
  },
  verify: () => opened,
  read: readGithub,
  sample: sampleGithub,
  comment: githubComment,
});
