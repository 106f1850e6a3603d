import { z } from "zod";
import { outboundOptions } from "../core/outbound.ts";
import { secret } from "../core/secret.ts";

/** What the configuration may say of a pager. */
export const pagerduty = {
  kind: "pagerduty",
  options: outboundOptions.extend({
    kind: z.literal("pagerduty"),
    key: secret,
    base_url: z.url().default("https://events.pagerduty.com"),
  }),
};
