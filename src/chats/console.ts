import { z } from "zod";
import { headline, logCommand } from "../core/announcement.ts";
import { sent } from "../core/post.ts";
import { oneLine, truncate, webLink } from "../core/text.ts";
import { chatOptions, defineChat } from "./chat.ts";

// The operator's own terminal: `gateway/send` prints the text of a post to `console:` instead of sending it.
export const console = defineChat({
  kind: "console",
  get options() {
    return chatOptions.extend({ kind: z.literal("console") });
  },
  limits: { text: 2000, unit: "codepoints" },
  can: () => ({ edit: false, thread: false, silent: true, idempotent: false }),

  post(announcement) {
    const more = webLink(announcement.run_url) ?? logCommand(announcement);
    const line = truncate(oneLine(headline(announcement)), 1500);
    return {
      method: "POST",
      url: "console:",
      body: { text: more === null ? line : `${line} · ${truncate(more, 400)}` },
    };
  },

  judge: () => sent(),
});
