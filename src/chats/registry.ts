import type { Chat } from "./chat.ts";
import { console } from "./console.ts";
import { mattermost } from "./mattermost.ts";

// Every chat we speak. To add one: a file beside this one, a line here, a folder of fixtures.
export const chats: Chat[] = [mattermost, console] as unknown as Chat[];
