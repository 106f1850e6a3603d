import type { Config } from "../config.ts";
import { chats } from "../chats/registry.ts";
import { look } from "../secrets/shelf.ts";
import type { TallyRow } from "../core/use.ts";
import { type Subject, subjectsOf } from "../rotation/subjects.ts";
import { defineCheck } from "./check.ts";

/** Looks for chats of which nobody can say whether they take what is posted: with the value that is current none was ever taken. */
export const unproven = defineCheck({
  name: "proof of chats",
  on: "gateway",
  faults: {
    "chat-hook-unproven": {
      severity: "warning",
      breaks: "a hook that was pasted wrong, or deleted, shows only when a build should have been told",
    },
  },
  async look(scene) {
    const { config } = scene;
    const suspects = subjectsOf(config).filter((subject) => subject.kind === "chat");
    if (suspects.length === 0) return [];
    const store = await scene.store();
    const [tallies, rows] = await Promise.all([store.uses(), store.destinations()]);
    const refused = new Set(rows.filter(({ circuit }) => circuit !== "closed").map(({ name }) => name));
    return suspects.flatMap((subject) => {
      // What is known to be refused, or can be asked without a post, other checks say.
      const [name] = chatsOf(subject).filter((chat) => !refused.has(`chat:${chat}`) && !canBeAsked(chat, config));
      if (name === undefined || isProven(subject, tallies)) return [];
      return [
        {
          id: "chat-hook-unproven" as const,
          about: `chats.${name}`,
          says: `no post was ever seen to be taken with the value that is in ${subject.name} now`,
          fix: `meshmac notify --test ${name}`,
        },
      ];
    });
  },
});

const chatsOf = ({ places }: Subject): string[] => places.map((place) => place.split(".")[1] ?? "");

function canBeAsked(name: string, { chats: entries }: Config): boolean {
  const entry = entries[name];
  return entry !== undefined && Boolean(chats.find(({ kind }) => kind === entry.kind)?.probe?.(entry));
}

/** By a post of a gateway or a test, or by the trial of its rotation. What cannot be read, another check says. */
function isProven({ shelf }: Subject, tallies: TallyRow[]): boolean {
  const looked = lookAt(shelf);
  if (!looked?.current) return true;
  const { key_id } = looked.current;
  const uses = tallies.flatMap((tally) => tally.uses).filter((use) => use.key_id === key_id);
  return looked.ledger.proof?.key_id === key_id || uses.some(({ taken = 0 }) => taken > 0);
}

function lookAt(shelf: Subject["shelf"]) {
  try {
    return look(shelf);
  } catch {
    return null;
  }
}
