import { z } from "zod";
import { linear as opened } from "../core/verify-presets.ts";
import { linearComment } from "./linear-comment.ts";
import { readLinear } from "./linear-read.ts";
import { sampleLinear } from "./linear-sample.ts";
import { defineSource, sourceOptions } from "./source.ts";

// https://linear.app/developers/webhooks
export const linear = defineSource({
  kind: "linear",
  get options() {
    return sourceOptions.omit({ header: true }).extend({ kind: z.literal("linear") });
  },
  verify: () => opened,
  read: readLinear,
  sample: sampleLinear,
  comment: linearComment,
});
