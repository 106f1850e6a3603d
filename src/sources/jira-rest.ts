import { z } from "zod";
import { outboundOptions } from "../core/outbound.ts";
import type { Post } from "../core/post.ts";
import { secret } from "../core/secret.ts";

const webRoot = z
  .url({ protocol: /^https?$/, error: "expected a URL like https://acme.atlassian.net" })
  .transform((url) => url.replace(/\/+$/, ""));

export const fields = () =>
  outboundOptions.extend({
    site: webRoot,
    email: z.string().min(3).optional(),
    token: secret,
    api: z.enum(["cloud", "datacenter"]).optional(),
    base_url: webRoot.optional(),
  });

export type Options = z.output<ReturnType<typeof fields>>;

/** Which of the two Jiras it is, said or told by its address. */
export function apiOf({ api, site, email }: Pick<Options, "api" | "site" | "email">): "cloud" | "datacenter" {
  if (api) return api;
  return new URL(site).hostname.endsWith(".atlassian.net") || email !== undefined ? "cloud" : "datacenter";
}

/** Shows Jira whose token it is: Basic with an e-mail address, else Bearer. */
export function asWhom(entry: Options): Pick<Post, "headers" | "basic" | "bearer"> {
  const headers = { Accept: "application/json" };
  if (entry.email === undefined) return { headers, bearer: entry.token };
  return { headers, basic: { user: entry.email, password: entry.token } };
}
