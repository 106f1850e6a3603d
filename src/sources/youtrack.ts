import { z } from "zod";
import { inHeader } from "../core/verify-presets.ts";
import { defineSource, sourceOptions } from "./source.ts";
import { youtrackComment } from "./youtrack-comment.ts";
import { readYoutrack } from "./youtrack-read.ts";
import { youtrackSearch } from "./youtrack-search.ts";
import { sampleYoutrack } from "./youtrack-sample.ts";

// The Webhook Triggers app: https://github.com/JetBrains/youtrack-apps/tree/main/packages/webhook-triggers-app
export const youtrack = defineSource({
  kind: "youtrack",
  get options() {
    return sourceOptions.extend({ kind: z.literal("youtrack") });
  },
  verify: ({ header }) => inHeader(header ?? "X-YouTrack-Token"),
  fakeTokens: {
    secret:
      'the header arrived as the literal "secret": a known fault of YouTrack, which hands the app the mask of its token setting in place of the token',
  },
  read: readYoutrack,
  sample: sampleYoutrack,
  comment: youtrackComment,
  search: youtrackSearch,
});
