import type { Chat } from "./chat.ts";
import { console } from "./console.ts";
import { discord } from "./discord.ts";
import { googleChat } from "./google-chat.ts";
import { matrix } from "./matrix.ts";
import { mattermost } from "./mattermost.ts";
import { ntfy } from "./ntfy.ts";
import { openclaw } from "./openclaw.ts";
import { slack } from "./slack.ts";
import { teams } from "./teams.ts";
import { telegram } from "./telegram.ts";
import { webhook } from "./webhook.ts";

// Every chat we speak. To add one: a file beside this one, a line here, a folder of fixtures.
export const chats: Chat[] = [
  mattermost,
  slack,
  matrix,
  telegram,
  ntfy,
  teams,
  googleChat,
  webhook,
  openclaw,
  discord,
  console,
] as unknown as Chat[];
