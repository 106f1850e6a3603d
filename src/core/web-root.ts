import { z } from "zod";

/** Parses the address of a server, without the slashes at its end: `https://chat.acme.example`, a path may follow. */
export const webRoot = z
  .url({ protocol: /^https?$/, error: "expected a URL like https://chat.acme.example" })
  .refine((url) => !/[?#@]/.test(url), { error: "expected a URL without user, query and fragment" })
  .transform((url) => url.replace(/\/+$/, ""));
