import { z } from "zod";
import { defineSource, type Source, sourceOptions } from "./source.ts";

const none = defineSource({
  kind: "none",
  options: sourceOptions.extend({ kind: z.literal("none") }),
  header: "X-None",
  read: () => ({ ignored: "nothing" }),
  sample: () => ({ headers: {}, body: {} }),
});

// Every system that may knock. To add one: a file beside this one, a line here, a folder of fixtures.
export const sources: Source[] = [none] as unknown as Source[];
