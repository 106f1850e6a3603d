import { z } from "zod";
import { sent } from "../core/post.ts";
import { headline } from "../core/announcement.ts";
import { chatOptions, defineChat } from "./chat.ts";

// The operator's own terminal: `gateway/send` prints the text of a post to `console:` instead of sending it.
export const console = defineChat({
  kind: "console",
  options: chatOptions.extend({ kind: z.literal("console") }),
  limits: { text: 2000, unit: "codepoints" },
  can: { edit: false, thread: false, silent: true, idempotent: true },
  post: (announcement) => ({ method: "POST", url: "console:", body: { text: headline(announcement) } }),
  judge: () => sent(),
});
