import { z } from "zod";
import { retryOptions } from "./retry.ts";
import { limit, rate } from "./units.ts";

/** What every outbound entry of the configuration takes, `comment` included. */
export const outboundOptions = z.strictObject({
  timeout: limit.prefault("10s"),
  retry: retryOptions.optional(),
  proxy: z.url({ protocol: /^https?$/, error: "expected a proxy URL like http://proxy.example:3128" }).optional(),
  ca_file: z.string().optional(),
  client_cert: z.string().optional(),
  client_key: z.string().optional(),
  allow_http: z.boolean().default(false),
  rate: rate.optional(),
});

export type Outbound = z.output<typeof outboundOptions>;
