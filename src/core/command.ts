import { z } from "zod";
import { fold } from "./build-when.ts";
import { hasMarker } from "./marker.ts";

/** Who may ask for a build by a comment; off unless somebody is named. */
export const commandOptions = () =>
  z
    .strictObject({
      authors: z.array(z.string().min(1)).default([]),
      associations: z.array(z.enum(["OWNER", "MEMBER", "COLLABORATOR"])).default([]),
    })
    .refine(({ authors, associations }) => authors.length + associations.length > 0, {
      error: "name who may ask: authors, or associations where the kind has them",
    });

export type CommandOptions = z.output<ReturnType<typeof commandOptions>>;

/** A comment as it came: its text, who wrote it, and what they are to the repository where the sender says so. */
export interface Said {
  text: string;
  author: string;
  association?: string;
}

/** What a comment asks for; `ref` is "" where it names none. */
export type Command = { ref: string } | { ignored: string };

const grammar = /^\/meshmac[ \t]+build(?:[ \t]+(\S{1,255}))?[ \t]*(?:\r?\n|$)/;

/** Reads `/meshmac build [ref]` in the first line of a comment, from those who may say it; else why it asks for nothing. */
export function commandIn({ text, author, association = "" }: Said, options: CommandOptions | undefined): Command {
  if (hasMarker(text)) return { ignored: "our own comment" };
  const found = grammar.exec(text);
  if (!found) return { ignored: "the comment is no command" };
  if (!options) return { ignored: "commands are off: the source has no `commands`" };
  const may =
    options.authors.some((name) => fold(name) === fold(author)) ||
    options.associations.some((name) => name === association);
  if (!may) return { ignored: "the author of the comment may not ask for a build" };
  return { ref: found[1] ?? "" };
}
