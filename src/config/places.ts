import { placeOf } from "../chats/chat.ts";
import { chats } from "../chats/registry.ts";
import type { Config } from "./schema.ts";

/** Names where each chat of a configuration posts to, by `placeOf`; a chat whose secret cannot be read is left out. */
export function placesOf(config: Pick<Config, "chats">, keyId: (secret: string) => string): Record<string, string> {
  const places = Object.entries(config.chats).flatMap(([name, entry]) => {
    const chat = chats.find(({ kind }) => kind === entry.kind);
    if (!chat || chat.kind === "console") return [];
    try {
      return [[name, placeOf(chat, entry, (secret) => keyId(secret.name))]];
    } catch {
      return [];
    }
  });
  return Object.fromEntries(places);
}
